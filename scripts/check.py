#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the tests of a build directory: check.py BUILD [SUITE | NAME | SUITE:NAME ...]; all but suite soak, if none are named.
A word that is a suite's name means the suite.

As many at a time as there are CPUs, then one by one those that are declared with
is_parallel: false. Each test prints TAP; a line tells how each went when it has ended,
tables (| ...) and failures are shown whole, and the last line adds everything up: "N passed, N failed".
"""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

RESULT = re.compile(r'^(not )?ok\b')
GRACE_SECONDS = 20
running = set()


def load(build):
    tests = json.loads(subprocess.check_output(['meson', 'introspect', '--tests', build]))
    for t in tests:
        t['suite'] = t['suite'][0].split(':')[-1]
    return tests


def chosen(tests, words):
    """Those that the words mean, all but suite soak without any; ends where a word means none."""
    if not words:
        return [t for t in tests if t['suite'] != 'soak']
    suites = {t['suite'] for t in tests}
    meant = {w: [t for t in tests if (t['suite'] == w if w in suites else w in (t['name'], f'{t["suite"]}:{t["name"]}'))] for w in words}
    if unknown := [w for w in words if not meant[w]]:
        sys.exit(f'check.py: {", ".join(unknown)}: no such suite or test; suites are {", ".join(sorted(suites))}')
    return [t for t in tests if any(t in of for of in meant.values())]


def signal_all(tests, sig):
    for p in tests:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, sig)


def end(tests):
    """Tests and what they have started: as ^C does, so that they take away what they made and say where they were; then by force."""
    limit = time.monotonic() + GRACE_SECONDS
    signal_all(tests, signal.SIGINT)
    try:
        while any(p.poll() is None for p in tests) and time.monotonic() < limit:
            time.sleep(0.1)
    finally:
        signal_all(tests, signal.SIGKILL)


def run(t, build, kept):
    start = time.monotonic()
    env = dict(os.environ, **t['env'], DRUPE_CHECK_KEEPS=kept)
    p = subprocess.Popen(t['cmd'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                         cwd=t['workdir'] or build, start_new_session=True)
    running.add(p)
    try:
        out, status = p.communicate(timeout=t['timeout'] or 300)[0], p.returncode
    except subprocess.TimeoutExpired:
        end([p])
        status = 'timeout'
        try:
            out = p.communicate(timeout=GRACE_SECONDS)[0]
        except subprocess.TimeoutExpired as e:  # who has left its group may still hold its output
            out = e.output or b''
    running.discard(p)
    out = out.decode(errors='replace')
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
    print(''.join(l + '\n' for l in out.splitlines() if l.startswith('|')), end='')
    if failed:
        shown = [l for l in out.splitlines() if not l.startswith('ok ')]
        print('\n'.join('     | ' + l for l in shown[-60:]))
        if status not in (0, 1):
            print(f'     | exit status: {status}')
    return passed, failed


def main():
    build, wanted = sys.argv[1], sys.argv[2:]
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # tests are in sessions of their own, and must not inherit that a shell's & ignores ^C
        signal.signal(sig, signal.default_int_handler)
    tests = chosen(load(build), wanted)
    together, alone = ([t for t in tests if t['is_parallel'] == p] for p in (True, False))
    start = time.monotonic()
    print(f'{len(tests)} tests', flush=True)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix='drupe-test-check-') as kept:
        for group, at_once in ((together, os.cpu_count()), (alone, 1)):
            with ThreadPoolExecutor(at_once) as pool:
                try:
                    for r in as_completed([pool.submit(run, t, build, kept) for t in group]):
                        p, f = report(r.result())
                        passed, failed = passed + p, failed + f
                except KeyboardInterrupt:
                    pool.shutdown(wait=False, cancel_futures=True)
                    end(list(running))
                    sys.exit(130)
    print(f'{(time.monotonic() - start) / 60:.1f} minutes')
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or passed == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
