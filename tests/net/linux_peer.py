#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Transfers between a program in Drupe and one on Linux over a bad path, every byte compared (pattern.c):

    linux_peer.py DRUPE BUILD --on host|qemu [--all]

The short choice is for `make check`, --all for `make soak`. Needs root; says so where it cannot run.
"""
import os
import subprocess
import sys

ALL = '--all' in sys.argv
sys.argv = [a for a in sys.argv if a != '--all']
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'apps'))
import rig  # noqa: E402
from lib import BUILD, DRUPE, ON, check, done  # noqa: E402

PATTERN, PATH = os.path.join(BUILD, 'pattern'), os.path.join(BUILD, 'path')
PORT = 7001
MS, PERCENT = 1000, 10000
LOSS = [('loss 0.1 %', {'loss': PERCENT // 10}), ('loss 1 %', {'loss': PERCENT}), ('loss 5 %', {'loss': 5 * PERCENT})]
DAMAGE = [('reordering 10 %', {'reorder': 10 * PERCENT}), ('duplication 10 %', {'dup': 10 * PERCENT}),
          ('corruption 1 %', {'corrupt': PERCENT}),
          ('all at once', {'loss': PERCENT, 'reorder': 5 * PERCENT, 'dup': 2 * PERCENT, 'corrupt': PERCENT})]
DELAY = [(f'delay {ms} ms', {'delay_us': ms * MS // 2}) for ms in (1, 50, 200)]
RATE = [('20 Mbit/s, queue of 20', {'rate_kbit': 20000, 'limit': 20}), ('5 Mbit/s, queue of 200', {'rate_kbit': 5000, 'limit': 200})]
# Name, settings, streams, bytes of each.
SHORT = [('a clean path', {}, 2, 20_000_000), ('loss 1 %, delay 20 ms', {'loss': PERCENT, 'delay_us': 10 * MS}, 4, 500_000),
         ('loss 5 %', {'loss': 5 * PERCENT, 'delay_us': MS}, 4, 500_000), ('all at once', DAMAGE[-1][1] | {'delay_us': MS}, 4, 500_000),
         ('delay 200 ms', DELAY[-1][1], 2, 500_000), ('20 Mbit/s, queue of 20', RATE[0][1], 2, 2_000_000)]


def choice():
    if not ALL:
        return SHORT if ON[1] == 'host' else [SHORT[0][:3] + (4_000_000,), SHORT[3]]
    out = [(name, s, 4, 4_000_000) for name, s in RATE]
    for delay, d in DELAY:
        out.append((delay, d, 4, 8_000_000))
        # Where a stream's rate is set by loss and delay, bytes that take some ten seconds.
        out += [(f'{name}, {delay}', s | d, 4, 1_000_000 if d['delay_us'] > MS else 4_000_000) for name, s in LOSS + DAMAGE]
    return out


def transfer(r, name, prefix, way, address, streams, size):
    try:
        t = subprocess.run([*prefix, way, address, str(PORT), str(streams), str(size)], capture_output=True, text=True, timeout=300)
        good, said = t.returncode == 0 and t.stdout.startswith('ok'), t.stdout + t.stderr
    except subprocess.TimeoutExpired:
        good, said = False, 'no end after 300 s'
    check(good, name, said)


def scenarios(r):
    drupe = [*r.site, DRUPE, 'run', *ON, '--net', f'tap:{rig.DEVICE}', '--ip', f'{rig.DRUPE4}/24', '--ip', f'{rig.DRUPE6}/64',
             '--allow', f'tcp:{PORT}', PATTERN]
    with r.process([*drupe, 'serve', PORT]):
        for i, (name, settings, streams, size) in enumerate(choice()):
            r.set(**settings, seed=i + 1)
            for way, said in (('up', 'to'), ('down', 'from')):
                transfer(r, f'{name}: {said} Drupe', [*r.peer, PATTERN], way, rig.DRUPE4, streams, size)
                if i in (0, 3) or ALL:
                    transfer(r, f'{name}: {said} Drupe over IPv6', [*r.peer, PATTERN], way, rig.DRUPE6, streams, size)
            counts = r.set()
            missing = [k for k, what in (('loss', 'lost'), ('dup', 'doubled'), ('corrupt', 'corrupted'), ('reorder', 'reordered'))
                       if settings.get(k, 0) >= PERCENT and counts[what] == 0]
            check(not missing, f'{name}: the path did it', f'{missing}: {counts}')
    r.set(**DAMAGE[-1][1], delay_us=MS, seed=99)
    with r.process([*r.peer, PATTERN, 'serve', PORT]):
        for way, peer in (('up', rig.PEER4), ('down', rig.PEER4), ('up', rig.PEER6), ('down', rig.PEER6)):
            transfer(r, f'Drupe dials {peer}, all at once: {way}', drupe, way, peer, 2, 500_000)


def main():
    why_not = rig.usable()
    if why_not:
        print(f'ok 1 - a path between Drupe and Linux # SKIP {why_not}\n1..1')
        return
    with rig.Rig(PATH) as r:
        scenarios(r)
    done()


if __name__ == '__main__':
    main()
