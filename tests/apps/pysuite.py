#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The modules of Python's own test-suite that exercise a kernel, inside and on this Linux: pysuite.py DRUPE BUILD --on PLATFORM [MODULE...].

Without resources (-u), one module after the other, each side bounded in time. A test that fails inside and
neither here nor in KNOWN is a defect. Prints the table of docs/CONFORMANCE.md.
"""
import collections
import os
import re
import sys
import tempfile

MODULES = sys.argv[5:] or ['test_' + m for m in (
    'os posix subprocess signal threading socket select selectors mmap fcntl io multiprocessing_fork asyncio time tempfile shutil pty'.split())]
del sys.argv[5:]
from lib import check, done, drupe, host_command  # noqa: E402 (it takes the rest of argv as options)

SUITE = '/usr/lib/python3.11/test'
TOOLS = ['/bin/sh', '/bin/true', '/bin/cat', '/bin/sleep', '/bin/echo', '/bin/tar']
PYTHON = '/usr/bin/python3'
SECONDS = 900

# What fails inside only, and why it may.
KNOWN = {
    'test_fcntl.TestFcntl.test_fcntl_64_bit': 'F_NOTIFY: EINVAL, as on a Linux without dnotify',
}
SUMMARY = re.compile(r'^(?:OK|FAILED)(?: \((.*)\))?$', re.M)
RAN = re.compile(r'^Ran (\d+) tests? in', re.M)
BAD = re.compile(r'^(?:ERROR|FAIL): .*\((?:test\.)?([\w.]+)\)', re.M)

Result = collections.namedtuple('Result', 'passed failed skipped bad')


def result(output):
    """Of unittest's last words; None if it did not come to them."""
    ran, summary = RAN.search(output), SUMMARY.search(output)
    if not ran or not summary:
        return None
    counts = collections.Counter({k: int(n) for k, n in re.findall(r'([a-z ]+)=(\d+)', summary[1] or '')})
    failed = counts['failures'] + counts['errors'] + counts[' errors']
    skipped = counts['skipped'] + counts[' skipped']
    return Result(int(ran[1]) - failed - skipped, failed, skipped, set(BAD.findall(output)))


def figures(r):
    return f'{r.passed} / {r.failed} / {r.skipped}' if r else 'did not end'


def last_lines(output):
    return '\n'.join(output.splitlines()[-15:])


rows = []
with tempfile.TemporaryDirectory() as tmp:
    for module in MODULES:
        argv = [PYTHON, '-m', 'test', '-v', '--timeout', str(SECONDS // 3), module]
        status, out = host_command('timeout', str(SECONDS), *argv, timeout=SECONDS + 30, cwd=tmp, stdin=open(os.devnull))
        here = result(out)
        add = [a for path in (SUITE, *TOOLS) for a in ('--add', path)]
        status, out, err = drupe('-m', '512M', *add, *argv, timeout=SECONDS)
        inside = result(out.decode(errors='replace') + err)
        new = inside.bad - (here.bad if here else set()) - set(KNOWN) if inside else {f'ended with {status}'}
        check(inside and not new, f'{module}: {figures(inside)}', f'{sorted(new)}\n{last_lines(err)}\n{last_lines(out.decode(errors="replace"))}')
        rows.append(f'| {module} | {figures(here)} | {figures(inside)} | {"; ".join(sorted(inside.bad)) if inside else ""} |')
print('| module | Linux: passed / failed / skipped | Drupe | failed inside |\n|---|---|---|---|')
print('\n'.join(rows))
done()
