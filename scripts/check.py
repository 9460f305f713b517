#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the tests of a build directory: check.py BUILD [SUITE|NAME ...]; all but suite soak, if none are named.

Each test prints TAP; a line tells how each went, failures are shown whole, and
the last line adds everything up: "N passed, N failed".
"""
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

RESULT = re.compile(r'^(not )?ok\b')
PARALLEL_SUITES = {'unit', 'tree', 'guest'}  # the others are about rates, time-outs, and what is left behind


def load(build):
    tests = json.loads(subprocess.check_output(['meson', 'introspect', '--tests', build]))
    for t in tests:
        t['suite'] = t['suite'][0].split(':')[-1]
    return tests


def run(t, build):
    start = time.monotonic()
    env = dict(os.environ, **t['env'])
    try:
        p = subprocess.run(t['cmd'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=t['timeout'] or 300, env=env, cwd=t['workdir'] or build)
        out, status = p.stdout.decode(errors='replace'), p.returncode
    except subprocess.TimeoutExpired as e:
        out, status = (e.stdout or b'').decode(errors='replace'), 'timeout'
    lines = [l for l in out.splitlines() if RESULT.match(l) and '# SKIP' not in l]
    passed = sum(not l.startswith('not') for l in lines)
    failed = len(lines) - passed
    if status != 0 and failed == 0:
        failed = 1  # it died, hung, or said nothing
    elif status == 0 and not lines:
        passed = 1  # a plain program: its exit status is its answer
    return t, passed, failed, status, out, time.monotonic() - start


def report(result):
    t, passed, failed, status, out, seconds = result
    print(f'{"ok  " if failed == 0 else "FAIL"} {t["suite"]:6} {t["name"]:36} {passed:5} passed {failed:3} failed {seconds:7.1f} s',
          flush=True)
    if failed:
        shown = [l for l in out.splitlines() if not l.startswith('ok ')]
        print('\n'.join('     | ' + l for l in shown[-60:]))
        if status not in (0, 1):
            print(f'     | exit status: {status}')
    return passed, failed


def main():
    build, wanted = sys.argv[1], sys.argv[2:]
    tests = [t for t in load(build) if (t['suite'] in wanted or t['name'] in wanted if wanted else t['suite'] != 'soak')]
    together = [t for t in tests if t['suite'] in PARALLEL_SUITES]
    alone = [t for t in tests if t['suite'] not in PARALLEL_SUITES]
    print(f'{len(tests)} tests', flush=True)
    passed = failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for r in pool.map(lambda t: run(t, build), together):
            p, f = report(r)
            passed, failed = passed + p, failed + f
    for t in alone:
        p, f = report(run(t, build))
        passed, failed = passed + p, failed + f
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or passed == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
