#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Long loads over TAP: soak.py BUILD [SECONDS]. Ten minutes each (default) of redis-benchmark

  -k 0    every request on a new connection
  -P 16   pipelined

Each load runs twice in a machine of its own, for a short and for the long time. The kernel tells
(drupe run -V) what memory it holds before the program and behind it: if the long run leaves
more behind than the short one, something leaks. Errors and stalls (a batch that takes five
times the median) are failures, too. Then every choice of tests/net/linux_peer.py: bad paths to Linux, every byte compared.
"""
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import guests
from guests import GUEST_IP, TAP

BUILD = os.path.abspath(sys.argv[1])
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 600
SHORT = min(20, SECONDS)
LEAK_KIB = 1024
DRUPE = os.path.join(BUILD, 'drupe')
MEMORY = re.compile(r'memory in use without the page cache: (\d+) KiB before the program, (\d+) KiB behind it')


class Failed(Exception):
    pass


def load(inside, extra, seconds):
    """Batches for so long: (requests, seconds of each batch)."""
    n = 4000 if '-k' in extra else 100000
    end, batches = time.monotonic() + seconds, []
    while time.monotonic() < end:
        start = time.monotonic()
        r = subprocess.run([*inside, 'redis-benchmark', '-h', GUEST_IP, '-c', '50', '-n', str(n), '-t', 'get,set', '--csv',
                            *extra], capture_output=True, text=True, timeout=300)
        batches.append(time.monotonic() - start)
        if r.returncode != 0 or '"GET"' not in r.stdout or '"SET"' not in r.stdout or 'rror' in r.stdout + r.stderr:
            raise Failed(f'redis-benchmark: {r.stdout} {r.stderr}')
    return 2 * n * len(batches), batches


def machine(inside, extra, seconds):
    """One machine under one load: (KiB before, KiB behind, requests, batches)."""
    with tempfile.TemporaryDirectory() as tmp:
        log = os.path.join(tmp, 'log')
        argv = [*inside, DRUPE, 'run', '-V', '--on', 'qemu', '-m', '64M', '--net', f'tap:{TAP}', '--ip', f'{GUEST_IP}/24', '--allow', 'tcp:6379',
                'redis-server', '--save', '', '--protected-mode', 'no']
        with guests.process(argv, log) as p:
            guests.wait_port(inside, 6379)
            requests, batches = load(inside, extra, seconds)
            p.send_signal(signal.SIGTERM)
            status = p.wait(30)
        with open(log, errors='replace') as f:
            m = MEMORY.search(f.read())
        if status != 0 or m is None:
            raise Failed(f'the machine ended with {status} and {"no" if m is None else "a"} report')
        return int(m[1]), int(m[2]), requests, batches


def main():
    failed = 0
    with guests.network() as inside:
        for name, extra in (('a new connection for each request (-k 0)', ['-k', '0']), ('pipelined (-P 16)', ['-P', '16'])):
            try:
                short = machine(inside, extra, SHORT)
                before, behind, requests, batches = machine(inside, extra, SECONDS)
                median, slowest = statistics.median(batches), max(batches)
                leak = behind - short[1]
                print(f'{name}: {requests:,} requests in {SECONDS} s; batches {median:.2f} s (median), {slowest:.2f} s (slowest); '
                      f'kernel memory {before} KiB before, {behind} KiB behind, {short[1]} KiB behind a run of {SHORT} s', flush=True)
                if leak > LEAK_KIB:
                    raise Failed(f'{leak} KiB more behind the long run than behind the short one')
                if slowest > max(5 * median, 5):
                    raise Failed(f'a batch took {slowest:.1f} s')
            except (Failed, subprocess.TimeoutExpired, RuntimeError) as e:
                failed += 1
                print(f'FAIL {name}: {e}', flush=True)
    peer = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'net', 'linux_peer.py')
    failed += subprocess.run(['python3', peer, DRUPE, os.path.join(BUILD, 'tests'), '--on', 'host', '--all']).returncode
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
