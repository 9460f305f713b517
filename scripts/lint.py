#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything that reads the code without running it: lint.py BUILD.

A clang build with -Werror, the include directions, generated files that are up to
date, one SPDX line a file, and cppcheck for real bugs only.
"""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
failed = 0

# What cppcheck 2.10 gets wrong, each kind looked at where it was reported.
CPPCHECK_WRONG = [
    '*:*/test/*',                    # TEST(name) { } is no function to it
    'syntaxError',                   # generated headers are not there; two compilers have read the files
    'preprocessorErrorDirective',    # the same
    'comparePointers',               # start and end of a linker's section are one object
    'va_end_missing',                # panic() does not return
    'ctunullpointer',                # does not see that error and NULL come together
    'nullPointerRedundantCheck',     # the same
    'legacyUninitvar',               # arrays that the callee fills in
    'identicalInnerCondition',       # a pointer that is returned is none
]


def step(name, argv, **kw):
    global failed
    r = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    print(f'{"ok  " if r.returncode == 0 else "FAIL"} {name}', flush=True)
    if r.returncode != 0:
        failed += 1
        print('\n'.join('     | ' + l for l in r.stdout.splitlines()[-40:]))


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    clang = build / 'clang'
    if not (clang / 'build.ninja').exists():
        shutil.rmtree(clang, ignore_errors=True)
        step('set up a clang build', ['meson', 'setup', str(clang)], env=dict(os.environ, CC='clang-14'))
    step('clang 14, -Wall -Wextra -Werror', ['ninja', '--quiet', '-k', '0', '-C', str(clang)])
    step('include directions', [sys.executable, 'scripts/check_includes.py'])
    step('generated files are up to date', [sys.executable, 'scripts/gen_syscalls.py', 'check', 'kernel/linux/syscalls.tbl',
                                               'docs/syscalls.md'])
    files = subprocess.check_output(['git', 'ls-files', '*.c', '*.h', '*.S', '*.py', '*.sh', '*.build'], cwd=ROOT,
                                    text=True).split()
    bare = [f for f in files if 'SPDX-License-Identifier: Apache-2.0' not in (ROOT / f).read_text()[:300]]
    print(f'{"FAIL" if bare else "ok  "} SPDX lines' + ''.join('\n     | ' + f for f in bare))
    step('cppcheck', ['cppcheck', '--quiet', '--error-exitcode=1', '--enable=warning', '--inline-suppr', '-j2',
                      *(f'--suppress={s}' for s in CPPCHECK_WRONG), '-I.', '-Ikernel/include',
                      '-Ikernel/arch/x86_64/include', '-Ikernel/plat/pc/include', 'base', 'kernel', 'host'])
    sys.exit(1 if failed or bare else 0)


if __name__ == '__main__':
    main()
