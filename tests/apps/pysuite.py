#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The modules of Python's own test-suite that exercise a kernel, inside and on this Linux: pysuite.py DRUPE BUILD --on PLATFORM [MODULE...].

Without resources (-u), one module after the other, each side bounded in time. A test that fails inside and
neither here nor in KNOWN is a defect, and so is one that is skipped inside alone, unless SKIPPED has it. Prints the table of docs/CONFORMANCE.md,
with what there is of it when the time for all is over.
"""
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
from typing import NamedTuple

MODULES = sys.argv[5:] or ['test_' + m for m in (
    'os posix subprocess signal threading socket select selectors mmap fcntl io multiprocessing_fork asyncio time tempfile shutil pty'.split())]
del sys.argv[5:]
from lib import bounded_command, check, done, drupe, time_left  # noqa: E402 (it takes the rest of argv as options)

SUITE = '/usr/lib/python3.11/test'
TOOLS = [t for t in ('/bin/sh', '/bin/bash', '/bin/true', '/bin/cat', '/bin/sleep', '/bin/echo', '/bin/ls', '/bin/tar', '/usr/bin/env', '/usr/bin/id',
                     '/usr/bin/zip', '/usr/bin/unzip') if os.path.exists(t)]
PYTHON = '/usr/bin/python3'
# Both sides together, beside much other load.
SECONDS = 1200
LONGER = {'test_' + m: s for m, s in (('asyncio', 4800), ('multiprocessing_fork', 4800), ('subprocess', 2400), ('io', 2400), ('socket', 2400))}
# A test or two looks at all numbers that a file may have.
FEW_FILES = 'import os, resource as r, sys; r.setrlimit(r.RLIMIT_NOFILE, (1024, 1024)); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])'

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
PASSED = re.compile(r'\.\.\. ok$', re.M)
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


def outcome(result, output, seconds):
    """For the table."""
    return str(result) if result else f'not ended in {seconds} s ({len(PASSED.findall(output))} passed)'


def run(module, tmp):
    """(what Linux made of it, what Drupe did), for the table."""
    seconds = time_left(LONGER.get(module, SECONDS)) // 2 # a side
    if seconds == 0:
        check(False, f'{module}: no time was left')
        return 'not run', 'not run'
    argv = [PYTHON, '-c', FEW_FILES, '-m', 'test', '-v', '--timeout', str(seconds - 20), '-i', NOWHERE, module]
    _, said = bounded_command(*argv, seconds=seconds, cwd=tmp, env={**os.environ, 'LANG': 'C.UTF-8'}, stdin=subprocess.DEVNULL)
    here = result(said)
    add = [a for path in (SUITE, *TOOLS) for a in ('--add', path)]
    status, out, err = drupe('-m', '512M', '-e', 'LANG=C.UTF-8', *add, *argv, timeout=seconds)
    out = out.decode(errors='replace')
    inside = result(out + err)
    new = {f'ended with {status}'}
    if inside:
        new = unknown(inside.bad - (here.bad if here else set()), KNOWN) | unknown(set(inside.skipped) - set(here.skipped) if here else (), SKIPPED)
    told = outcome(inside, out, seconds)
    check(not new, f'{module}: {told}', f'{sorted(new)}\n{last_lines(err)}\n{last_lines(out)}')
    return outcome(here, said, seconds), told


rows = {}
try:
    with tempfile.TemporaryDirectory() as tmp:
        for module in MODULES:
            rows[module] = run(module, tmp)
finally: # whatever ends it
    print('| module | Linux: passed / failed / skipped | Drupe |\n|---|---|---|')
    print('\n'.join(f'| {module} | {here} | {inside} |' for module, (here, inside) in rows.items()), flush=True)
done()
