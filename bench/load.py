# SPDX-License-Identifier: Apache-2.0
"""Many small things on a server's network (tests/net/load.c): the sections udp, opens, idle and attacks of bench.py. Drupe over TAP as a process and in a machine, the
same program native over veth, and in Linux's machine."""
import contextlib
import os
import re
import statistics
import subprocess
import tempfile
import time

import guests
from common import BUILD, DRUPE, row
from guests import GUEST_IP, HOST_IP, sh

LOAD = os.path.join(BUILD, 'tests', 'load')
PORT = 7100
MEMORY = '256M'
IDLE, SLOW, CALLERS = 50_000, 10_000, 4  # each caller has a limit of descriptors


def drupe(on):
    @contextlib.contextmanager
    def server(*role):
        with guests.network() as inside, tempfile.TemporaryDirectory() as tmp:
            argv = [DRUPE, 'run', '--on', on, '-m', MEMORY, '--ulimit', 'nofile=200000', '--net', f'tap:{guests.TAP}', '--ip', f'{GUEST_IP}/24,{HOST_IP}', '--allow', f'tcp:{PORT}-{PORT + 3}',
                    '--allow', f'udp:{PORT}', LOAD, *map(str, role)]
            yield from serving(inside, [*inside, *argv], os.path.join(tmp, 'log'))
    return server


@contextlib.contextmanager
def native(*role):
    with guests.veth_network() as (inside, peer), tempfile.TemporaryDirectory() as tmp:
        yield from serving(inside, guests.native(peer, [LOAD, *map(str, role)]), os.path.join(tmp, 'log'))


@contextlib.contextmanager
def linux(*role):
    with guests.network() as inside, tempfile.TemporaryDirectory() as tmp:
        guest = guests.LinuxGuest(tmp)
        image = guest.initramfs('load', programs=[LOAD], script=' '.join(['ulimit -n 200000;', f'ip route add default via {HOST_IP};', LOAD, *map(str, role)]))
        yield from serving(inside, [*inside, *guest.argv(image, memory=MEMORY, net=inside)], os.path.join(tmp, 'log'))


def serving(inside, argv, log):
    sh(*inside, 'sysctl', '-qw', 'net.ipv4.ip_local_port_range=1024 65535')
    with guests.process(argv, log) as p:
        wait_for(log, r'^ready', p)
        yield inside, log, p


def wait_for(log, pattern, p, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with open(log, errors='replace') as f:
            m = re.search(pattern, f.read(), re.M)
        if m:
            return m
        if p.poll() is not None:
            break
        time.sleep(0.1)
    with open(log, errors='replace') as f:
        raise RuntimeError(f'{pattern}: did not come:\n' + f.read()[-2000:])


def client(inside, *role, timeout=60):
    r = subprocess.run([*inside, LOAD, *map(str, role)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if r.returncode != 0:
        raise RuntimeError(f'{role}: {r.stdout} {r.stderr}')
    return [int(x) for x in r.stdout.split()]


def rates(server_role, role, at_once, target):
    """Three seconds of each, three times in turn: how many, how many not. All servers are there all the time."""
    def one(inside, _, p):
        before = guests.cpu_seconds(p.pid)
        done, failed = client(inside, role, GUEST_IP, PORT, 3, at_once)
        return done, failed, done / (guests.cpu_seconds(p.pid) - before)

    with contextlib.ExitStack() as stack:
        at = {name: stack.enter_context(server(server_role, PORT)) for name, server in EVERY.items()}
        rounds = [{name: one(*there) for name, there in at.items()} for _ in range(3)]
    for name in EVERY:
        done, failed, _ = (statistics.median(r[name][i] for r in rounds) for i in range(3))
        beside = BESIDE.get(name)
        if beside is None:
            row(f'  {name}', f'{done:,}', f'({failed})')
            continue
        ratio, each = (statistics.median(r[name][i] / max(r[beside][i], 1) for r in rounds) for i in (0, 2))
        wanted = target if beside == 'Linux, a machine' else None
        row(f'  {name}', f'{done:,}', f'({failed})', f'{ratio:.2f} times {beside}' + (f', at least {wanted}' if wanted else ''),
            ratio >= wanted if wanted else None)
        if wanted:
            row('    for the same CPU time', '', '', f'{each:.2f} times')


def udp():
    print('\nUDP echo, 64 bytes, 64 under way, answers/s (lost in brackets), median of 3 in turn')
    rates('echo', 'udp', 64, 4)


def opens():
    print('\nnew connections, 32 at a time, each asked once, per second (failed in brackets), median of 3 in turn')
    rates('answer', 'rate', 32, 2.5)


@contextlib.contextmanager
def background(inside, *role):
    p = subprocess.Popen([*inside, LOAD, *map(str, role)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield p
    finally:
        p.stdin.close()
        p.wait(60)
        p.stdout.close()


def held(server):
    """KiB that IDLE connections took of the machine, and how many were refused."""
    with server('hold', PORT, IDLE) as (inside, log, p), contextlib.ExitStack() as stack:
        callers = [stack.enter_context(background(inside, 'open', GUEST_IP, PORT + i, IDLE // CALLERS)) for i in range(CALLERS)]
        said = [c.stdout.readline().split() for c in callers]
        m = wait_for(log, r'^held (\d+) KiB (-?\d+)', p)
        return int(m[2]), sum(int(w[3]) for w in said)


def idle():
    print(f'\n{IDLE:,} idle connections of one epoll program, memory of the machine for each')
    for name, server in MACHINES.items():
        try:
            kib, failed = held(server)
        except RuntimeError as e:
            row(f'  {name}', 'not held', '', f'{MEMORY} do not do' if 'memory' in str(e) else str(e), None if server is linux else False)
        else:
            row(f'  {name}', f'{kib * 1024 / IDLE:,.0f}', 'bytes', f'{failed} failed; {kib / 1024:,.0f} MiB of {MEMORY}', failed == 0)


# What the attacker does; connections are there before the honest clients come, floods go on for as long as they stay.
ATTACKS = {
    'SYN flood': ('flood', 'syn'),
    '100,000 half-open': ('flood', 'half'),
    'ACK storm': ('flood', 'ack'),
    'fragments without a rest': ('flood', 'pieces'),
    'overlapping fragments': ('flood', 'overlap'),
    f'slowloris x {SLOW:,}': ('slow', SLOW),
    'tiny segments, 64 connections': ('tiny', 64),
    'windows shrunk, 64 connections': ('shrink', 64),
}


def attacked(inside, p, kind, what):
    """Honest connections/s before and meanwhile with those that failed, MiB that the server's processes have meanwhile, what the attacker says."""
    before = client(inside, 'rate', GUEST_IP, PORT, 2, 32)
    flood = kind == 'flood'
    with background(inside, kind, *([what] if flood else []), GUEST_IP, PORT, 4 if flood else what) as attacker:
        time.sleep(0.5)
        said = '' if flood else attacker.stdout.readline()
        meanwhile = client(inside, 'rate', GUEST_IP, PORT, 2, 32)
        mib = guests.memory_kib(guests.descendants(p.pid)) / 1024
        said = f'{int(attacker.stdout.readline()):,} packets/s' if flood else said.split()[1] + ' are in'
    return before[0], *meanwhile, mib, said


def attacks():
    print('\nhonest clients (32 at a time), connections/s: meanwhile, of alone; what failed; memory of the server; the attacker')
    for name, server in EVERY.items():
        with server('answer', PORT) as (inside, _, p):
            for what, role in ATTACKS.items():
                before, meanwhile, failed, mib, said = attacked(inside, p, *role)
                row(f'  {name}: {what}', f'{meanwhile:,}', f'of {before:,}', f'{meanwhile / before:.2f}; {failed} failed; {mib:,.0f} MiB; {said}', failed == 0 and meanwhile > 0)


EVERY = {'Drupe, a process': drupe('host'), 'native': native, 'Drupe, a machine': drupe('qemu'), 'Linux, a machine': linux}
BESIDE = {'Drupe, a process': 'native', 'Drupe, a machine': 'Linux, a machine'}
MACHINES = {k: v for k, v in EVERY.items() if k != 'native'}
SECTIONS = {f.__name__: f for f in (udp, opens, idle, attacks)}
