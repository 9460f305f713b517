#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server under attack over TAP: attacks.py DRUPE BUILD --on WHERE. Honest clients are served meanwhile and behind it, with little memory, and the TAP's sieve
holds the floods back (of a machine, which is slow here: one of them); what the attacks leave them of their rate is measured by `make bench BENCH=attacks`."""
import contextlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'apps'))
from beside import until  # noqa: E402
from lib import DRUPE, ON, build_file, check, done, processes_of, same, tap_network  # noqa: E402

HOST, GUEST, PORT = '10.81.0.1', '10.81.0.2', '7100'
LOAD = build_file('load')
FLOODS = {'SYNs': 'syn', 'half-open connections': 'half', 'ACKs of no connection': 'ack', 'fragments without a rest': 'pieces', 'overlapping fragments': 'overlap'}
CONNECTIONS = {'slow clients': ('slow', 300), 'tiny segments': ('tiny', 20), 'windows that shrink': ('shrink', 20)}
if 'qemu' in ON:
    FLOODS, CONNECTIONS = {'ACKs of no connection': 'ack'}, {}


def load(*argv):
    return subprocess.Popen([LOAD, *map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def honest():
    """Connections that got their answer, and how many did not; a second of them, or as many as it takes until one did."""
    good = bad = 0
    for _ in range(60):
        p = load('rate', GUEST, PORT, 1, 8)
        more = [int(w) for w in p.communicate(timeout=100)[0].split()]
        good, bad = good + more[0], bad + more[1]
        if good > 0:
            break
    return good, bad


def counters(server):
    server.stdin.write('\n')
    server.stdin.flush()
    found = {}
    while (line := server.stdout.readline().split()) not in (['end'], []):
        found[line[0]] = int(line[1])
    return found


def sieved(server, what, kind):
    """The flood is held back before it comes in. All are made important: else a busy machine sends and reads too few frames for a flood."""
    before = counters(server)['sieve_held']
    p = load('flood', kind, GUEST, PORT, 60)
    try:
        for pid in [p.pid, *processes_of(server)]:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, pid, -20)
        held = until(lambda: counters(server)['sieve_held'] - before, 50)
        check(held > 0 and p.poll() is None, f'{what}: they are held back ({held} so far)')
    finally:
        p.terminate()
        p.communicate()


def attack(what, *argv, wait=False):
    p = load(*argv)
    try:
        said = p.stdout.readline() if wait else ''
        good, bad = honest()
        check(good > 0 and bad == 0 and (p.poll() is None or 'half' in argv), f'{what}: honest clients are served meanwhile ({good}, {bad} failed)')
        return said
    finally:
        p.terminate()
        p.communicate()


def main():
    tap_network(f'{HOST}/24 dev tap0')
    script = f'{LOAD} answer {PORT} & while read x; do cat /proc/net/drupe; echo end; done; kill $!'
    with tempfile.TemporaryFile('w+') as said, subprocess.Popen(
            [DRUPE, 'run', '-V', *ON, '-m', '48M', '--net', 'tap:tap0', '--ip', f'{GUEST}/24,{HOST}', '--allow', f'tcp:{PORT}', '--add', LOAD, '--add', '/bin/cat',
             '/bin/sh', '-c', script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True) as server:
        try:
            same(server.stdout.readline(), 'ready\n', 'a server')
            for what, kind in FLOODS.items():
                attack(what, 'flood', kind, GUEST, PORT, 100)
            for what, (kind, n) in CONNECTIONS.items():
                same(attack(what, kind, GUEST, PORT, n, wait=True), f'open {n} failed 0\n', f'{what}: all of them were let in')
            said.seek(0)
            if 'a sieve against floods' in said.read():
                for what, kind in FLOODS.items():
                    if kind != 'half': # an end to it comes too soon
                        sieved(server, what, kind)
            good, bad = honest()
            check(good > 0 and bad == 0 and server.poll() is None, f'and behind all that ({good})')
        finally:
            server.terminate()
    done()


main()
