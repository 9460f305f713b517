#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Long loads: soak.py BUILD [SECONDS]. Ten minutes each (default) of redis-benchmark

  -k 0    every request on a new connection
  -P 16   pipelined

Free memory of the guest is read before and after (redis' INFO, and MemFree of
/proc/meminfo is printed by the kernel's own counters in INFO's system memory);
errors, stalls (no progress for 5 s) and leaks (over 2 MiB) are failures.
"""
import os
import subprocess
import sys
import tempfile
import time

import guests
from guests import GUEST_IP, TAP, sh

BUILD = os.path.abspath(sys.argv[1])
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 600
DRUPE = os.path.join(BUILD, 'drupe')
# Lua in redis cannot read files; DEBUG can: the guest's own free memory through a module-less way
# is not there, so redis runs under a tiny wrapper of python3 only when asked for. Here: used_memory_rss.
failed = 0


def info(inside, *keys):
    out = sh(*inside, 'redis-cli', '-h', GUEST_IP, 'info').stdout
    values = dict(l.strip().split(':', 1) for l in out.splitlines() if ':' in l)
    return [int(values[k]) for k in keys]


def load(inside, name, extra):
    global failed
    before = info(inside, 'used_memory_rss', 'used_memory', 'total_system_memory')
    end = time.monotonic() + SECONDS
    requests = 0
    worst = 0.0
    while time.monotonic() < end:
        n = 20000 if '-k' in extra else 400000
        start = time.monotonic()
        r = subprocess.run([*inside, 'redis-benchmark', '-h', GUEST_IP, '-c', '50', '-n', str(n), '-t', 'get,set', '--csv',
                            *extra], capture_output=True, text=True, timeout=300)
        worst = max(worst, time.monotonic() - start)
        if r.returncode != 0 or r.stdout.count('"GET"') != 1 or r.stdout.count('"SET"') != 1:
            failed += 1
            print(f'FAIL {name}: {r.stdout} {r.stderr}')
            return
        requests += 2 * n
    after = info(inside, 'used_memory_rss', 'used_memory', 'total_system_memory')
    leak = after[0] - before[0]
    print(f'{name}: {requests:,} requests, slowest batch {worst:.1f} s, rss {before[0]:,} -> {after[0]:,} bytes', flush=True)
    if leak > 2 << 20:
        failed += 1
        print(f'FAIL {name}: {leak:,} bytes more than before')


def main():
    with guests.network() as inside, tempfile.TemporaryDirectory() as tmp:
        argv = [*inside, DRUPE, 'run', '--on', 'qemu', '-m', '64M', '--net', f'tap:{TAP}', '--ip', f'{GUEST_IP}/24',
                'redis-server', '--save', '', '--protected-mode', 'no']
        with guests.process(argv, os.path.join(tmp, 'log')) as p:
            guests.wait_port(inside, 6379)
            for name, extra in (('new connection each', ['-k', '0']), ('pipelined', ['-P', '16'])):
                load(inside, name, extra)
            if p.poll() is not None:
                print('FAIL the machine is gone')
                return 1
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
