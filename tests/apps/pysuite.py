#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The modules of Python's own test-suite that exercise a kernel, inside and on this Linux: pysuite.py DRUPE BUILD --on PLATFORM [MODULE...].

Without resources (-u), one module after the other, each side bounded in time. A test that fails inside and
neither here nor in KNOWN is a defect, and so is one that is skipped inside alone, unless SKIPPED has it. Prints the table of docs/CONFORMANCE.md.
"""
import fnmatch
import os
import re
import sys
import tempfile
from typing import NamedTuple

MODULES = sys.argv[5:] or ['test_' + m for m in (
    'os posix subprocess signal threading socket select selectors mmap fcntl io multiprocessing_fork asyncio time tempfile shutil pty'.split())]
del sys.argv[5:]
from lib import check, done, drupe, host_command  # noqa: E402 (it takes the rest of argv as options)

SUITE = '/usr/lib/python3.11/test'
TOOLS = [t for t in ('/bin/sh', '/bin/bash', '/bin/true', '/bin/cat', '/bin/sleep', '/bin/echo', '/bin/ls', '/bin/tar', '/usr/bin/env', '/usr/bin/id',
                     '/usr/bin/zip', '/usr/bin/unzip') if os.path.exists(t)]
PYTHON = '/usr/bin/python3'
SECONDS = 1500

# What fails or is skipped inside only, and why it may.
KNOWN = {
    'test_fcntl.TestFcntl.test_fcntl_64_bit': 'F_NOTIFY: EINVAL, as on a Linux without dnotify',
    'test_socket.*UDPLITE*': 'UDP-Lite: EPROTONOSUPPORT',
}
SKIPPED = {
    'test_socket.*VSOCK*': 'AF_VSOCK: EAFNOSUPPORT',
}
# On a virtual machine's Linux it waits for the machine's host for ever.
NOWHERE = '*ThreadedVSOCKSocketStreamTest*'
RAN = re.compile(r'^Ran (\d+) tests? in', re.M)
BAD = re.compile(r'^(?:ERROR|FAIL): .*\((?:test\.)?([\w.]+)\)', re.M)
TEST = re.compile(r'^test\w* \((?:test\.)?([\w.]+)\)')
SKIP = re.compile(r"(?:\.\.\. |^)skipped ['\"]")


class Result(NamedTuple):
    ran: int
    bad: set
    skipped: list

    def __str__(self):
        return f'{self.ran - len(self.bad) - len(self.skipped)} / {len(self.bad)} / {len(self.skipped)}'


def result(output):
    """Of unittest's last words; None if it did not come to them."""
    ran = RAN.search(output)
    if not ran:
        return None
    skipped, name = [], ''
    for line in output.splitlines(): # the verdict may be on a later line than the name
        m = TEST.match(line)
        name = m[1] if m else name
        if SKIP.search(line):
            skipped.append(name)
    return Result(int(ran[1]), set(BAD.findall(output)), skipped)


def unknown(names, known):
    return {n for n in names if not any(fnmatch.fnmatchcase(n, pattern) for pattern in known)}


def last_lines(output):
    return '\n'.join(output.splitlines()[-15:])


rows = []
with tempfile.TemporaryDirectory() as tmp:
    env = {**os.environ, 'LANG': 'C.UTF-8'}
    for module in MODULES:
        argv = [PYTHON, '-m', 'test', '-v', '--timeout', str(SECONDS - 60), '-i', NOWHERE, module]
        status, out = host_command('timeout', str(SECONDS), *argv, timeout=SECONDS + 30, cwd=tmp, env=env, stdin=open(os.devnull))
        here = result(out)
        add = [a for path in (SUITE, *TOOLS) for a in ('--add', path)]
        status, out, err = drupe('-m', '512M', '-e', 'LANG=C.UTF-8', *add, *argv, timeout=SECONDS)
        out = out.decode(errors='replace')
        inside = result(out + err)
        new = {f'ended with {status}'}
        if inside:
            new = unknown(inside.bad - (here.bad if here else set()), KNOWN) | unknown(set(inside.skipped) - set(here.skipped) if here else (), SKIPPED)
        check(not new, f'{module}: {inside}', f'{sorted(new)}\n{last_lines(err)}\n{last_lines(out)}')
        rows.append(f'| {module} | {here or "did not end"} | {inside or "did not end"} |')
print('| module | Linux: passed / failed / skipped | Drupe |\n|---|---|---|')
print('\n'.join(rows))
done()
