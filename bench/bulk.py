# SPDX-License-Identifier: Apache-2.0
"""Bulk transfers: the sections iperf, host-iperf and path of bench.py."""
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import guests
import host
from common import BUILD, DRUPE, row
from guests import GUEST_IP, sh

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'net'))
import rig  # noqa: E402

IPERF = ['iperf3', '-s', '-p', '5201']
WAYS = (('to the server', []), ('from the server', ['-R']))


def iperf_rate(inside, streams, extra, seconds=5):
    """Mbit/s that arrived."""
    for _ in range(10):
        out = sh(*inside, 'iperf3', '-c', GUEST_IP, '-p', 5201, '-t', seconds, '-O', 1, '-P', streams, '-J', *extra, check=False,
                 timeout=seconds + 60)
        said = json.loads(out.stdout)
        if 'error' not in said:
            return said['end']['sum_received']['bits_per_second'] / 1e6
        time.sleep(1)  # it is still busy with whoever asked last
    raise RuntimeError(said['error'])


@contextlib.contextmanager
def guest_server(linux):
    with guests.network() as inside, tempfile.TemporaryDirectory() as tmp:
        if linux:
            which = '/usr/bin/iperf3'
            guest = guests.LinuxGuest(tmp)
            argv = guest.argv(guest.initramfs('iperf', programs=[which], script=' '.join([which, *IPERF[1:]])), net=inside)
        else:
            argv = [DRUPE, 'run', '--on', 'qemu', '--net', f'tap:{guests.TAP}', '--ip', f'{GUEST_IP}/24', '--allow', 'tcp:5201', *IPERF]
        with guests.process([*inside, *argv], os.path.join(tmp, 'log')) as p:
            guests.wait_port(inside, 5201)
            yield inside, p


def iperf_pair(title, ours, theirs, name, target):
    """Both servers are there all the time and are asked in turn."""
    print(f'\niperf3 {title}, Mbit/s (median of 3 in turn)')
    with ours as (d, _), theirs as (l, _):
        for way, extra in WAYS:
            for n in (1, 8):
                rounds = [[iperf_rate(inside, n, extra) for inside in (d, l)] for _ in range(3)]
                ratio = statistics.median(a / b for a, b in rounds)
                rates = [statistics.median(r) for r in zip(*rounds)]
                row(f'  {n} stream{"s" if n > 1 else ""} {way}', f'{rates[0]:,.0f}', f'{name} {rates[1]:,.0f}', f'ratio {ratio:.2f}, at least {target}',
                    ratio >= target)


def iperf():
    iperf_pair('in a machine over TAP', guest_server(False), guest_server(True), 'Linux', 1.3)


def host_iperf():
    iperf_pair('as a process over TAP, the native one over veth', host.drupe_server(IPERF, 5201), host.native_server(IPERF, 5201), 'native', 0.5)


PATHS = (('loss 1 %, delay 20 ms', {'loss': 10000, 'delay_us': 10000}, 0.95), ('loss 0.1 %, delay 100 ms', {'loss': 1000, 'delay_us': 50000}, None),
         ('loss 5 %, delay 2 ms', {'loss': 50000, 'delay_us': 1000}, None),
         ('50 Mbit/s, delay 50 ms, queue of 300', {'rate_kbit': 50000, 'delay_us': 25000, 'limit': 300}, None))


def path_rate(r, argv, address, settings, seed):
    """Mbit/s of 16 streams from the far end together, every byte compared."""
    pattern = os.path.join(BUILD, 'tests', 'pattern')
    with r.process([*r.site, *argv, pattern, 'serve', 7001]):
        r.set(**settings, seed=seed)
        t = subprocess.run([*r.peer, pattern, 'down', address, '7001', '16', '8s'], capture_output=True, text=True, timeout=200)
        r.set()
    words = t.stdout.split()
    if words[:1] != ['ok']:
        raise RuntimeError(t.stdout + t.stderr)
    return int(words[1]) * 8 / int(words[4]) / 1000


def path():
    print('\n16 streams over a bad path to Linux, Mbit/s that arrived (median of 3): from Drupe as a process, from Linux (CUBIC)')
    ours = [DRUPE, 'run', '--on', 'host', '--net', f'tap:{rig.DEVICE}', '--ip', f'{rig.DRUPE4}/24', '--allow', 'tcp:7001']
    with rig.Rig(os.path.join(BUILD, 'tests', 'path')) as r:
        for name, settings, target in PATHS:
            d = statistics.median(path_rate(r, ours, rig.DRUPE4, settings, seed) for seed in (1, 2, 3))
            l = statistics.median(path_rate(r, [], rig.LINUX4, settings, seed) for seed in (1, 2, 3))
            row(f'  {name}', f'{d:.1f}', f'Linux {l:.1f}', f'ratio {d / l:.2f}' + (f', at least {target}' if target else ''),
                d / l >= target if target else None)


SECTIONS = {'iperf': iperf, 'host-iperf': host_iperf, 'path': path}
