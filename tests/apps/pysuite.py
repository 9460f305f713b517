#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The modules of Python's own test-suite that exercise a kernel, inside and on this Linux: pysuite.py DRUPE BUILD --on PLATFORM [MODULE...].

Without resources (-u), one module after the other, each side as long as it tells of a test now and then. A test that fails inside and
neither here nor in KNOWN is a defect, and so is one that is skipped inside alone, unless SKIPPED has it. Prints the table of docs/CONFORMANCE.md,
with what there is of it when the time for all is over.
"""
import contextlib
import fnmatch
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

MODULES = sys.argv[5:] or ['test_' + m for m in (
    'os posix subprocess signal threading socket select selectors mmap fcntl io multiprocessing_fork asyncio time tempfile shutil pty'.split())]
del sys.argv[5:]
from lib import DRUPE, END, ON, check, done  # noqa: E402 (it takes the rest of argv as options)

SUITE = '/usr/lib/python3.11/test'
TOOLS = [t for t in ('/bin/sh', '/bin/bash', '/bin/true', '/bin/cat', '/bin/sleep', '/bin/echo', '/bin/ls', '/bin/tar', '/usr/bin/env', '/usr/bin/id',
                     '/usr/bin/zip', '/usr/bin/unzip') if os.path.exists(t)]
PYTHON = '/usr/bin/python3'
AGAIN = 2   # tries of what failed: some tests look at the clock, and fail where others use the machine
LOOKS = 600 # a second after the other, that see nothing said
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


def outcome(result, output):
    """For the table."""
    return str(result) if result else f'not ended ({len(PASSED.findall(output))} passed)'


def output_of(argv, **kw):
    """What it says until it ends, or is ended: it says nothing any more, or the time for all is over."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, **kw)
        size = still = 0
        while p.poll() is None and still < LOOKS and time.monotonic() < END:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(1)
            now = os.fstat(out.fileno()).st_size
            size, still = now, still + 1 if now == size else 0
        for sig in (signal.SIGTERM, signal.SIGKILL): # what has left its group lives on
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(p.pid, sig)
                p.wait(5)
        for f in out, err:
            f.seek(0)
        return p.wait(), (out.read() + err.read()).decode(errors='replace')


def run(module, tmp):
    """(what Linux made of it, what Drupe did), for the table."""
    argv = [PYTHON, '-c', FEW_FILES, '-m', 'test', '-v', '-i', NOWHERE]
    _, said = output_of([*argv, module], cwd=tmp, env={**os.environ, 'LANG': 'C.UTF-8'})
    here = result(said)
    add = [a for path in (SUITE, *TOOLS) for a in ('--add', path)]
    argv = [DRUPE, 'run', *ON, '-m', '512M', '-e', 'LANG=C.UTF-8', *add, *argv]
    status, out = output_of([*argv, module])
    inside = result(out)
    new = {f'ended with {status}'}
    if inside:
        new = unknown(inside.bad - (here.bad if here else set()), KNOWN) | unknown(set(inside.skipped) - set(here.skipped) if here else (), SKIPPED)
        late = new & inside.bad
        for _ in range(AGAIN if late else 0):
            print(f'# {module}: once more: {" ".join(sorted(late))}', flush=True)
            alone = result(output_of([*argv, *(a for name in sorted(late) for a in ('-m', '*' + name)), module])[1])
            late = late & alone.bad if alone else late
            if not late:
                break
        new -= inside.bad - late
    told = outcome(inside, out)
    check(not new, f'{module}: {told}', f'{sorted(new)}\n{last_lines(out)}')
    return outcome(here, said), told


rows = {}
try:
    with tempfile.TemporaryDirectory() as tmp:
        for module in MODULES:
            rows[module] = run(module, tmp)
finally: # whatever ends it
    print('| module | Linux: passed / failed / skipped | Drupe |\n|---|---|---|')
    print('\n'.join(f'| {module} | {here} | {inside} |' for module, (here, inside) in rows.items()), flush=True)
done()
