#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run every fuzzer for a while: fuzz_smoke.py BUILD [--seconds N] [NAME ...]. Prints TAP.

The fuzzers are built by clang in BUILD/fuzz with ASan and UBSan. `planted` holds
a bug on purpose and must find it: that shows that the harness can.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build')
    p.add_argument('names', nargs='*')
    p.add_argument('--seconds', type=int, default=60)
    a = p.parse_args()
    build = pathlib.Path(a.build).resolve() / 'fuzz'
    if not (build / 'build.ninja').exists():
        shutil.rmtree(build, ignore_errors=True)
        subprocess.run(['meson', 'setup', str(build), '-Dfuzz=true'], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, CC='clang-14'))
    subprocess.run(['ninja', '--quiet', '-C', str(build), 'fuzzers'], check=True)
    names = a.names or sorted(f.name.removesuffix('_fuzz.c') for f in (ROOT / 'tests' / 'fuzz').glob('*_fuzz.c'))
    failed = 0
    print(f'1..{len(names)}')
    for n, name in enumerate(names, 1):
        with tempfile.TemporaryDirectory() as tmp:
            corpus = tmp + '/corpus'
            subprocess.run([sys.executable, str(ROOT / 'tests' / 'fuzz' / 'seeds.py'), name, corpus], check=True)
            # print_funcs=0: the sanitizers' symbolizer, asked for the names of functions met, can wait for itself for ever.
            r = subprocess.run(['timeout', '-s', 'KILL', str(a.seconds + 120), str(build / 'tests' / 'fuzz' / f'{name}_fuzz'), f'-max_total_time={a.seconds}',
                                '-timeout=20', '-rss_limit_mb=4096', '-print_final_stats=1', '-print_funcs=0', f'-artifact_prefix={tmp}/', corpus],
                               cwd=tmp, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors='replace', text=True)
            if name == 'planted':
                good = 'AddressSanitizer: heap-buffer-overflow' in r.stdout
            else:
                good = r.returncode == 0
            runs = next((l.split()[-1] for l in r.stdout.splitlines() if 'number_of_executed_units' in l), '?')
            text = 'finds its planted bug' if name == 'planted' else f'{runs} runs in {a.seconds} s'
            print(f'{"ok" if good else "not ok"} {n} - fuzz {name}: {text}', flush=True)
            if not good:
                failed += 1
                print('\n'.join('# ' + l for l in r.stdout.splitlines()[-40:]))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
