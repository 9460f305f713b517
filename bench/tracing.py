# SPDX-License-Identifier: Apache-2.0
"""What it costs to look: redis under redis-benchmark -P 1 with and without drupe strace, beside Debian's strace of the native process."""
import contextlib
import os
import signal
import statistics
import subprocess
import tempfile
import time

import guests
import host
from common import DRUPE, REDIS, redis_rates, row

RUNS, REQUESTS = 3, 30000


def rate(inside, n=REQUESTS):
    return statistics.median(redis_rates(inside, [], n)['GET'] for _ in range(RUNS))


@contextlib.contextmanager
def watched(argv, env=None):
    """A tracer while the body runs; its output goes to nowhere."""
    p = subprocess.Popen(list(map(str, argv)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    time.sleep(1)
    if p.poll() is not None:
        raise RuntimeError(f'{argv}: {p.stderr.read().decode()}')
    try:
        yield
    finally:
        p.send_signal(signal.SIGINT)
        p.wait(30)


def strace():
    print(f'\nGET of redis, 50 connections, -P 1, requests/s (median of {RUNS}): TAP for Drupe, veth for the native process')
    with tempfile.TemporaryDirectory() as tmp:
        os.environ['DRUPE_RUN'] = os.path.join(tmp, 'run')
        with host.drupe_server(['--name', 'bench', *REDIS], 6379) as (inside, _):
            plain = rate(inside)
            with watched([DRUPE, 'strace', '-c', 'bench']):
                sums = rate(inside)
            with watched([DRUPE, 'strace', '-o', '/dev/null', 'bench']):
                full = rate(inside)
            after = rate(inside)
        del os.environ['DRUPE_RUN']
    with host.native_server(REDIS, 6379) as (inside, p):
        native = rate(inside)
        pid = next(q for q in guests.descendants(p.pid) if open(f'/proc/{q}/comm').read() == 'redis-server\n')
        with watched(['strace', '-c', '-f', '-o', '/dev/null', '-p', pid]):
            native_sums = rate(inside, 5000)
        with watched(['strace', '-f', '-o', '/dev/null', '-p', pid]):
            native_full = rate(inside, 5000)
    row('  drupe strace -c', f'{sums:,.0f}', f'of {plain:,.0f}', f'ratio {sums / plain:.2f}, at least 0.9', sums >= 0.9 * plain)
    row('  drupe strace', f'{full:,.0f}', f'of {plain:,.0f}', f'ratio {full / plain:.2f}, at least 0.4', full >= 0.4 * plain)
    row('  afterwards', f'{after:,.0f}', f'of {plain:,.0f}', f'ratio {after / plain:.2f}')
    row('  strace -c -f of the native process', f'{native_sums:,.0f}', f'of {native:,.0f}', f'ratio {native_sums / native:.2f}')
    row('  strace -f of the native process', f'{native_full:,.0f}', f'of {native:,.0f}', f'ratio {native_full / native:.2f}')


SECTIONS = {'strace': strace}
