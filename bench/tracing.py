# SPDX-License-Identifier: Apache-2.0
"""What it costs to look: redis under redis-benchmark -P 1 with and without drupe strace, beside Debian's strace of the native process;
guest instructions of a program with and without drupe profile, and with a count of its calls by eBPF; redis with and without all that can
be looked at; how long a program stands still for drupe dump."""
import contextlib
import functools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import guests
import host
import trimmed
from common import BUILD, DRUPE, PLUGIN, REDIS, redis_rates, row, run_drupe
from guests import sh

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'apps'))
import bpfd

RUNS, REQUESTS, PAUSES = 7, 30000, 5


def rate(inside, n=REQUESTS):
    return redis_rates(inside, [], n)['GET']


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


def beside(inside, argv, n=REQUESTS):
    """Requests/s while argv looks and while nobody does, in turn, and the ratio: medians, of the ratio that of the turns, so that other load strikes both."""
    turns = []
    for _ in range(RUNS):
        with watched(['sleep', '600']): # whoever looks comes with a pause, too
            plain = rate(inside)
        with watched(argv):
            turns.append((rate(inside, n), plain))
    return [statistics.median(v) for v in (*zip(*turns), [a / b for a, b in turns])]


def strace():
    print(f'\nGET of redis, 50 connections, -P 1, requests/s (medians of {RUNS} turns): TAP for Drupe, veth for the native process')
    with tempfile.TemporaryDirectory() as tmp:
        os.environ['DRUPE_RUN'] = os.path.join(tmp, 'run')
        with host.drupe_server(['--name', 'bench', *REDIS], 6379) as (inside, _):
            sums = beside(inside, [DRUPE, 'strace', '-c', 'bench'])
            full = beside(inside, [DRUPE, 'strace', '-o', '/dev/null', 'bench'])
        del os.environ['DRUPE_RUN']
    with host.native_server(REDIS, 6379) as (inside, p):
        pid = next(q for q in guests.descendants(p.pid) if open(f'/proc/{q}/comm').read() == 'redis-server\n')
        native_sums = beside(inside, ['strace', '-c', '-f', '-o', '/dev/null', '-p', pid], 5000)
        native_full = beside(inside, ['strace', '-f', '-o', '/dev/null', '-p', pid], 5000)
    for name, (looked, plain, ratio), least in (('drupe strace -c', sums, 0.9), ('drupe strace', full, 0.4), ('strace -c -f of the native process', native_sums, None),
                                                ('strace -f of the native process', native_full, None)):
        target = f', at least {least}' if least else ''
        row(f'  {name}', f'{looked:,.0f}', f'of {plain:,.0f}', f'ratio {ratio:.2f}{target}', ratio >= least if least else None)
    bare = call_instructions(nobody)
    row('  drupe strace -c, of a call', f'{call_instructions(summed) - bare:,.0f}', 'instructions', f'a call without: {bare:,.0f}')


@contextlib.contextmanager
def counted(*more):
    """An environment for a machine of which nothing depends on the host's time, in a list of instances of its own; and, once it has ended, the
    number of its instructions. The virtual clock counts a nanosecond for each."""
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, 'count')
        with guests.qemu_with('-plugin', f'{PLUGIN},out={out}', '-icount', 'shift=0,sleep=off', *more, '-seed', '1') as env:
            yield dict(env, DRUPE_RUN=os.path.join(tmp, 'run')), lambda: int(open(out).read().split()[-1])


def spin_instructions(rounds, hz=None):
    """Guest instructions of so many rounds, and the samples taken meanwhile."""
    samples = 0
    with counted() as (env, count):
        p = subprocess.Popen([DRUPE, 'run', '--on', 'qemu', '--name', 'bench', os.path.join(BUILD, 'tests/spin'), str(rounds)], env=env)
        if hz:
            for _ in range(100):
                r = subprocess.run([DRUPE, 'profile', '-F', str(hz), 'bench'], env=env, capture_output=True, text=True)
                if r.returncode == 0:
                    break
                time.sleep(0.02)
            samples = sum(int(line.rsplit(' ', 1)[1]) for line in r.stdout.splitlines())
        if p.wait(300) != 0 or (hz and not samples):
            raise RuntimeError(f'spin: {p.returncode}, {samples} samples')
        return count(), samples


def profile():
    print('\nProfiling at 99 Hz, guest instructions (the virtual CPU makes 1e9 in a second)')
    plain, _ = spin_instructions(4000)
    looked, samples = spin_instructions(4000, 990)
    each = (looked - plain) / samples
    row('  a sample', f'{each:,.0f}', 'instructions', f'of {samples}, {plain:,} without them')
    row('  at 99 Hz', f'{each * 99 / 1e7:.2f}', '%', 'at most 1 %', each * 99 / 1e7 <= 1)


def call_instructions(look):
    """Guest instructions of a call of a program that makes many; it begins when look(env) has."""
    few, many = (calls_instructions(n, look) for n in (50000, 150000))
    return (many - few) / 100000


def calls_instructions(calls, look):
    with counted() as (env, count):
        p = subprocess.Popen([DRUPE, 'run', '--on', 'qemu', '--name', 'bench', '--net', 'none', os.path.join(BUILD, 'bench/calls'), str(calls)], env=env,
                             stdin=subprocess.PIPE)
        while subprocess.run([DRUPE, 'inspect', 'bench'], env=env, capture_output=True).returncode != 0 and p.poll() is None:
            time.sleep(0.05)
        with look(env): # until the program has ended
            p.stdin.write(b'x')
            p.stdin.close()
        if p.wait(300) != 0:
            raise RuntimeError(f'calls: {p.returncode}')
        return count()


def nobody(env):
    return contextlib.nullcontext()


@contextlib.contextmanager
def summed(env):
    p = subprocess.Popen([DRUPE, 'strace', '-c', 'bench'], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    yield
    if p.wait(300) != 0:
        raise RuntimeError(f'strace -c: {p.returncode}')


@contextlib.contextmanager
def counter(env, flags):
    c = counting(env['DRUPE_RUN'], flags)
    yield
    while not c.ended:
        c.take_one()
    c.close()


def counting(run, flags):
    for _ in range(200):
        try:
            c = bpfd.Client(run, flags)
            c.s.settimeout(300)
            break
        except (OSError, EOFError, IndexError):
            time.sleep(0.05)
    c.map(0, bpfd.ARRAY, 4, 8, 512)
    c.load(0, bpfd.CTX_ENTRY, bpfd.count_by(0, 8))
    c.attach(0, bpfd.AT_ENTRY, bpfd.ALL_CALLS)
    return c


def bpf():
    print('\nA program that counts every system call by its number, guest instructions for each call')
    looks = {'none': nobody, 'compiled': functools.partial(counter, flags=0), 'interpreted': functools.partial(counter, flags=1)}
    each = {how: call_instructions(look) for how, look in looks.items()}
    compiled, interpreted = each['compiled'] - each['none'], each['interpreted'] - each['none']
    row('  compiled', f'{compiled:,.0f}', 'instructions', f'at most 60; a call without: {each["none"]:,.0f}', compiled <= 60)
    row('  interpreted', f'{interpreted:,.0f}', 'instructions', '')


OBSERVABILITY = ('bpf', 'capture', 'core_files', 'profile', 'ptrace', 'stats', 'symbols', 'trace')


def kernel_without():
    """The kernel of this build without any of it, stripped."""
    options = json.loads(sh('meson', 'introspect', '--buildoptions', BUILD).stdout)
    lto = next(o['value'] for o in options if o['name'] == 'size_lto')
    return str(trimmed.build(BUILD, 'unobserved', [f'-Dsize_lto={str(lto).lower()}', '-Dwithout=' + ','.join(OBSERVABILITY)]))


def redis_instructions(kernel, requests):
    """Guest instructions of a machine that asks itself so often. At fixed addresses: how long a program looks at a string depends on where it begins."""
    script = f'redis-server --save "" --daemonize yes >/dev/null; until redis-cli ping >/dev/null 2>&1; do :; done; redis-benchmark -t get -n {requests} -c 10 -q; redis-cli shutdown'
    programs = [a for t in ('setarch', 'sh', 'redis-server', 'redis-cli', 'redis-benchmark') for a in ('--add', shutil.which(t))]
    with counted('-rtc', 'base=2024-01-01,clock=vm') as (env, count):
        r, _ = run_drupe('--on', 'qemu', '--net', 'none', *programs, 'setarch', '-R', 'sh', '-c', script, env=dict(env, DRUPE_KERNEL=kernel), timeout=600)
        if b'requests per second' not in r.stdout:
            raise RuntimeError(r.stdout + r.stderr)
        return count()


def off():
    print('\nWhat can be looked at while nobody looks: against a kernel built without ' + ', '.join(OBSERVABILITY))
    full, without = os.path.join(BUILD, 'kernel/plat/pc/drupe-kernel.stripped'), kernel_without()
    size = os.path.getsize(full) - os.path.getsize(without)
    row('  the kernel is larger by', f'{size:,}', 'bytes', f'of {os.path.getsize(full):,}; at most 153,600', size <= 150 << 10)
    few, many = 2000, 42000 # so many that it hardly matters how often redis-benchmark reports, and redis-cli asks, meanwhile
    with_it, without_it = ((redis_instructions(k, many) - redis_instructions(k, few)) / (many - few) for k in (full, without))
    ratio = with_it / without_it - 1
    row('  GET of redis, guest instructions', f'{with_it:,.0f}', f'of {without_it:,.0f}', f'{ratio * 100:+.2f} %, at most 0.5 %', abs(ratio) <= 0.005)


def longest_pause_ms(machine, run, dumped):
    """Of a program with 64 MiB in use that reads the clock for three seconds."""
    env = dict(os.environ, DRUPE_RUN=os.path.join(run, 'list'))
    p = subprocess.Popen([DRUPE, 'run', '--on', machine, '--name', 'bench', '--net', 'none', '-m', '256M', os.path.join(BUILD, 'bench/pause'), '64', '3'], env=env,
                         stdout=subprocess.PIPE, text=True)
    if p.stdout.readline() != 'ready\n':
        raise RuntimeError(f'pause on {machine}: {p.wait()}')
    if dumped:
        subprocess.run([DRUPE, 'dump', '-o', os.path.join(run, 'core'), 'bench'], env=env, check=True, stdout=subprocess.DEVNULL)
    last = p.stdout.read().split()
    if p.wait(30) != 0:
        raise RuntimeError(f'pause on {machine}: {p.returncode}')
    return int(last[1]) / 1e6


def pause():
    print(f'\nThe longest time for which a program with 64 MiB in use stands still (the shortest of {PAUSES}: other load only adds)')
    for machine in 'host', 'qemu':
        for what, dumped in ('nobody looks', False), ('drupe dump', True):
            gaps = []
            for _ in range(PAUSES):
                with tempfile.TemporaryDirectory() as run:
                    gaps.append(longest_pause_ms(machine, run, dumped))
            row(f'  --on {machine}, {what}', f'{min(gaps):,.1f}', 'ms', f'up to {max(gaps):,.1f}')


SECTIONS = {'strace': strace, 'profile': profile, 'bpf': bpf, 'off': off, 'pause': pause}
