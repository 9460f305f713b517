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
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent


def fuzz(name, build, seconds):
    """Whether that fuzzer did what it should, and a text: what it did, its report where it failed."""
    with tempfile.TemporaryDirectory() as tmp:
        corpus = tmp + '/corpus'
        subprocess.run([sys.executable, str(ROOT / 'tests' / 'fuzz' / 'seeds.py'), name, corpus], check=True)
        # print_funcs=0: the sanitizers' symbolizer, asked for the names of functions met, can wait for itself for ever.
        r = subprocess.run(['timeout', '-s', 'KILL', str(seconds + 120), str(build / 'tests' / 'fuzz' / f'{name}_fuzz'), f'-max_total_time={seconds}',
                            '-timeout=20', '-rss_limit_mb=4096', '-print_final_stats=1', '-print_funcs=0', f'-artifact_prefix={tmp}/', corpus],
                           cwd=tmp, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors='replace', text=True)
    lines = r.stdout.splitlines()
    if name == 'planted':
        good, text = 'AddressSanitizer: heap-buffer-overflow' in r.stdout, f'fuzz {name}: finds its planted bug'
    else:
        runs = next((l.split()[-1] for l in lines if 'number_of_executed_units' in l), '?')
        good, text = r.returncode == 0, f'fuzz {name}: {runs} runs in {seconds} s'
    return good, text if good else '\n# '.join([text, *lines[-40:]])


def arguments(words):
    known = sorted(f.name.removesuffix('_fuzz.c') for f in (ROOT / 'tests' / 'fuzz').glob('*_fuzz.c'))
    p = argparse.ArgumentParser()
    p.add_argument('build')
    p.add_argument('names', nargs='*', metavar='name')
    p.add_argument('--seconds', type=int, default=60)
    a = p.parse_intermixed_args(words)
    if unknown := [n for n in a.names if n not in known]:
        p.error(f'{", ".join(unknown)}: no such fuzzer; there are {", ".join(known)}')
    a.names = a.names or known
    return a


def main():
    a = arguments(sys.argv[1:])
    build = pathlib.Path(a.build).resolve() / 'fuzz'
    if not (build / 'build.ninja').exists():
        shutil.rmtree(build, ignore_errors=True)
        subprocess.run(['meson', 'setup', str(build), '-Dfuzz=true'], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, CC='clang-14'))
    subprocess.run(['ninja', '--quiet', '-C', str(build), 'fuzzers'], check=True)
    print(f'1..{len(a.names)}', flush=True)
    failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for n, (good, text) in enumerate(pool.map(lambda name: fuzz(name, build, a.seconds), a.names), 1):
            print(f'{"ok" if good else "not ok"} {n} - {text}', flush=True)
            failed += not good
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
