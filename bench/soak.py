#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Long loads over TAP: soak.py BUILD [SECONDS]. Ten minutes each (default) of redis-benchmark

  -k 0    every request on a new connection
  -P 16   pipelined

Each load runs twice, in a machine and in a process of its own, for a short and for the long time. The kernel tells
(drupe run -V) what memory it holds before the program and behind it: if the long run leaves
more behind than the short one, something leaks. Errors and stalls (no packet crosses the device, however often one
looks: a machine that others use may be slow) are failures, too. Then every choice of tests/net/linux_peer.py: bad paths to Linux, every byte compared.
"""
import contextlib
import itertools
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
LOOK_S, STALL_LOOKS = 0.1, 50
DRUPE = os.path.join(BUILD, 'drupe')
MEMORY = re.compile(r'memory in use without the page cache: (\d+) KiB before the program, (\d+) KiB behind it')


class Failed(Exception):
    pass


def packets(pid):
    """What the counters of the TAP device say that this process sees, if it has not just ended."""
    with contextlib.suppress(OSError), open(f'/proc/{pid}/net/dev') as f:
        return [l for l in f if l.strip().startswith(TAP)]


def batch(argv):
    """redis-benchmark's output, and in how many looks in a row there was no packet more."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        seen, still, longest = None, 0, 0
        while True:
            try:
                out, err = p.communicate(timeout=LOOK_S)
                break
            except subprocess.TimeoutExpired:
                now = packets(p.pid)
                seen, still = now, still + 1 if now == seen else 0
                longest = max(longest, still)
            if still == STALL_LOOKS:
                p.kill()
                raise Failed(f'no packet in {still * LOOK_S:.0f} s')
    if p.returncode != 0 or '"GET"' not in out or '"SET"' not in out or 'rror' in out + err:
        raise Failed(f'redis-benchmark: {out} {err}')
    return longest


def load(inside, extra, seconds):
    """Batches for so long: (requests, seconds of each batch, looks without a packet)."""
    n = 4000 if '-k' in extra else 100000
    end, batches, longest = time.monotonic() + seconds, [], 0
    while time.monotonic() < end:
        start = time.monotonic()
        longest = max(longest, batch([*inside, 'redis-benchmark', '-h', GUEST_IP, '-c', '50', '-n', str(n), '-t', 'get,set', '--csv', *extra]))
        batches.append(time.monotonic() - start)
    return 2 * n * len(batches), batches, longest


def instance(inside, on, extra, seconds):
    """One instance under one load: (KiB before, KiB behind, requests, batches, looks without a packet)."""
    with tempfile.TemporaryDirectory() as tmp:
        log = os.path.join(tmp, 'log')
        argv = [*inside, DRUPE, 'run', '-V', '--on', on, '-m', '64M', '--net', f'tap:{TAP}', '--ip', f'{GUEST_IP}/24', '--allow', 'tcp:6379',
                'redis-server', '--save', '', '--protected-mode', 'no']
        with guests.process(argv, log) as p:
            guests.wait_port(inside, 6379)
            told = load(inside, extra, seconds)
            p.send_signal(signal.SIGTERM)
            status = p.wait(300)
        with open(log, errors='replace') as f:
            m = MEMORY.search(f.read())
        if status != 0 or m is None:
            raise Failed(f'it ended with {status} and {"no" if m is None else "a"} report')
        return int(m[1]), int(m[2]), *told


def main():
    failed = 0
    with guests.network() as inside:
        guests.sh(*inside, 'sysctl', '-qw', 'net.ipv4.tcp_tw_reuse=1') # the client closes first, and has no port left within a minute
        for on, (name, extra) in itertools.product(('qemu', 'host'), (('a new connection for each request (-k 0)', ['-k', '0']), ('pipelined (-P 16)', ['-P', '16']))):
            try:
                short = instance(inside, on, extra, SHORT)
                before, behind, requests, batches, longest = instance(inside, on, extra, SECONDS)
                leak = behind - short[1]
                print(f'{on}, {name}: {requests:,} requests in {SECONDS} s; batches {statistics.median(batches):.2f} s (median), {max(batches):.2f} s (slowest), '
                      f'{max(longest, short[-1]) * LOOK_S:.1f} s without a packet; '
                      f'kernel memory {before} KiB before, {behind} KiB behind, {short[1]} KiB behind a run of {SHORT} s', flush=True)
                if leak > LEAK_KIB:
                    raise Failed(f'{leak} KiB more behind the long run than behind the short one')
            except (Failed, subprocess.TimeoutExpired, RuntimeError) as e:
                failed += 1
                print(f'FAIL {on}, {name}: {e}', flush=True)
    peer = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'net', 'linux_peer.py')
    failed += subprocess.run(['python3', peer, DRUPE, os.path.join(BUILD, 'tests'), '--on', 'host', '--all']).returncode
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
