# SPDX-License-Identifier: Apache-2.0
"""Many small things on a server's network (tests/net/load.c): the section load of bench.py. Drupe over TAP as a process and in a machine, the
same program native over veth, and in Linux's machine."""
import contextlib
import os
import re
import subprocess
import tempfile
import time

import guests
from common import BUILD, DRUPE, row
from guests import GUEST_IP, HOST_IP, sh

LOAD = os.path.join(BUILD, 'tests', 'load')
PORT = 7100
IDLE, SLOW, CALLERS = 50_000, 10_000, 4  # each caller has a limit of descriptors


def drupe(on, memory):
    @contextlib.contextmanager
    def server(*role):
        with guests.network() as inside, tempfile.TemporaryDirectory() as tmp:
            argv = [DRUPE, 'run', '--on', on, '-m', memory, '--net', f'tap:{guests.TAP}', '--ip', f'{GUEST_IP}/24,{HOST_IP}', '--allow', f'tcp:{PORT}-{PORT + 3}',
                    '--allow', f'udp:{PORT}', LOAD, *map(str, role)]
            yield from serving(inside, [*inside, *argv], os.path.join(tmp, 'log'))
    return server


@contextlib.contextmanager
def native(*role):
    with guests.veth_network() as (inside, peer), tempfile.TemporaryDirectory() as tmp:
        yield from serving(inside, guests.native(peer, [LOAD, *map(str, role)]), os.path.join(tmp, 'log'))


def linux(memory):
    @contextlib.contextmanager
    def server(*role):
        with guests.network() as inside, tempfile.TemporaryDirectory() as tmp:
            guest = guests.LinuxGuest(tmp)
            image = guest.initramfs('load', programs=[LOAD], script=' '.join(['ulimit -n 200000;', f'ip route add default via {HOST_IP};', LOAD, *map(str, role)]))
            argv = guest.argv(image, net=True)
            argv[argv.index('-m') + 1] = memory
            yield from serving(inside, [*inside, *argv], os.path.join(tmp, 'log'))
    return server


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


def rates(servers, server_role, role, at_once):
    """The best of three times three seconds: how many, and how many not."""
    for name, server in servers.items():
        with server(server_role, PORT) as (inside, *_):
            best = max(client(inside, role, GUEST_IP, PORT, 3, at_once) for _ in range(3))
        row(f'  {name}', f'{best[0]:,}', f'({best[1]})')


def udp(servers):
    print('\nUDP echo, 64 bytes, 64 under way, answers/s (lost in brackets)')
    rates(servers, 'echo', 'udp', 64)


def opens(servers):
    print('\nnew connections, 32 at a time, each asked once, per second (failed in brackets)')
    rates(servers, 'answer', 'rate', 32)


@contextlib.contextmanager
def background(inside, *role):
    p = subprocess.Popen([*inside, LOAD, *map(str, role)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield p
    finally:
        p.stdin.close()
        p.wait(60)
        p.stdout.close()


def idle(servers):
    print(f'\n{IDLE:,} idle connections of one epoll program, memory of the machine for each')
    for name, server in servers.items():
        with server('hold', PORT, IDLE) as (inside, log, p), contextlib.ExitStack() as stack:
            callers = [stack.enter_context(background(inside, 'open', GUEST_IP, PORT + i, IDLE // CALLERS)) for i in range(CALLERS)]
            said = [c.stdout.readline().split() for c in callers]
            m = wait_for(log, r'^held (\d+) KiB (-?\d+)', p)
        row(f'  {name}', f'{int(m[2]) * 1024 / int(m[1]):,.0f}', 'bytes', f'{sum(int(w[3]) for w in said)} failed; {int(m[2]) / 1024:,.0f} MiB')


def attacks(servers):
    print('\nhonest clients (32 at a time), connections/s: alone, and meanwhile')
    for name, server in servers.items():
        with server('answer', PORT) as (inside, *_):
            alone = client(inside, 'rate', GUEST_IP, PORT, 3, 32)
            with background(inside, 'syn', GUEST_IP, PORT, 5) as flood:
                time.sleep(1)
                under = client(inside, 'rate', GUEST_IP, PORT, 3, 32)
                syns = int(flood.stdout.readline())
            row(f'  {name}: SYN flood', f'{under[0]:,}', f'of {alone[0]:,}', f'{under[1]} failed; {syns:,} SYNs/s')
            with background(inside, 'slow', GUEST_IP, PORT, SLOW) as slow:
                said = slow.stdout.readline().split()
                under = client(inside, 'rate', GUEST_IP, PORT, 3, 32)
            row(f'  {name}: slowloris x {SLOW:,}', f'{under[0]:,}', f'of {alone[0]:,}', f'{under[1]} failed; {said[1]} slow ones are in')


def load():
    every = {'Drupe, a process': drupe('host', '256M'), 'native': native, 'Drupe, a machine': drupe('qemu', '256M'), 'Linux, a machine': linux('256M')}
    machines = {k: v for k, v in every.items() if k != 'native'}
    for part, servers in ((udp, every), (opens, every), (idle, machines), (attacks, every)):
        part(servers)


SECTIONS = {'load': load}
