#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build the smallest kernel for a virtual machine, with nothing of what -Dwithout= and -Dtcp= can leave out, in BUILD/trimmed: trimmed.py BUILD.
Prints where it is. All else is as a build without options has it."""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def choices():
    text = (ROOT / 'meson_options.txt').read_text()
    return re.findall(r"'(\w+)'", re.search(r"option\('without'.*?choices: \[(.*?)\]", text, re.S)[1])


def build(where, name='trimmed', options=None):
    trimmed = pathlib.Path(where).resolve() / name
    kernel = trimmed / 'kernel' / 'plat' / 'pc' / 'drupe-kernel.stripped'
    options = options or ['-Dtcp=basic', '-Dwithout=' + ','.join(choices())]
    stamp = trimmed / 'options'
    if not stamp.exists() or stamp.read_text() != str(options):
        shutil.rmtree(trimmed, ignore_errors=True)
        subprocess.run(['meson', 'setup', str(trimmed), *options], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        stamp.write_text(str(options))
    subprocess.run(['ninja', '--quiet', '-C', str(trimmed), str(kernel.relative_to(trimmed))], check=True, stdout=subprocess.DEVNULL)
    return kernel


if __name__ == '__main__':
    print(build(sys.argv[1]))
