#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random sequences of system calls, by seed, on this Linux and in Drupe (differ.h): the lines must be the same. What differs is made short.

    differ.py DRUPE BUILD --on host|qemu [new] [MODE=SEED+COUNT,STEPS ...]

"new": twenty seeds that nobody has tried; else those of RUNS for what is not named.
"""
import os
import re
import subprocess
import sys
import time

from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1] / 'apps'))
from lib import ON, build_file, check, done, drupe # noqa: E402

RUNS = {'files': '5+40,300', 'memory': '3+4,300', 'streams': '7+1,300', 'creds': '1+4,300', 'ipc': '1+4,300', 'signals': '1+2,100', 'inet': '1+8,300', 'ptys': '3+8,300'}
FIXED = {'inet', 'ptys'} # new seeds of them still find differences
SHORTEN_S = 120
ALONE = ['unshare', '--mount', '--net', '--ipc', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', 'ip link set lo up && echo 4096 > /proc/sys/kernel/shmall && exec "$0" "$@"']

wanted = ON[2:]
del ON[2:]
differ = build_file('differ')


def on_linux(*args):
    return subprocess.run([*ALONE, differ, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=600).stdout.decode(errors='replace').splitlines()


def in_drupe(*args):
    status, out, err = drupe('-m', '256M', differ, *args, timeout=600)
    return out.decode(errors='replace').splitlines() + ([] if status == 0 else [f'drupe run: {status}', *err.splitlines()[-10:]])


def by_seed(lines):
    """{seed: lines}, and what came before the first."""
    seeds, here = {}, []
    for line in lines:
        if line.startswith('=== '):
            here = seeds.setdefault(line.split()[2], [])
        here.append(line)
    return seeds


def first(a, b):
    """Where two logs differ first, as an index, or None."""
    for i in range(max(len(a), len(b))):
        if a[i:i + 1] != b[i:i + 1]:
            return i
    return None


def ranges(steps):
    return ','.join(map(str, steps)) or '0'


def shorten(mode, seed, steps):
    """The fewest steps found, in bounded time, of which the last still differs; and both logs."""
    last, end = steps[-1], time.monotonic() + SHORTEN_S

    def differs(some):
        args = (mode, seed, str(last), ranges(some))
        a, b = on_linux(*args), in_drupe(*args)
        i = first(a, b)
        if i is None or not b[i:i + 1] or not b[i].startswith(f'{last} '):
            return None
        return a[:i + 1], b[:i + 1]

    logs = differs(steps)
    part = len(steps) // 2
    while logs and part > 0:
        at = 0
        while at < len(steps) - 1 and time.monotonic() < end:
            fewer = steps[:at] + steps[min(at + part, len(steps) - 1):]
            found = differs(fewer)
            if found:
                steps, logs = fewer, found
            else:
                at += part
        part //= 2
    return logs


def told(logs):
    """Two logs as one, the last line twice."""
    return '\n'.join([*logs[0][1:-1], 'Linux: ' + logs[0][-1], 'Drupe: ' + logs[1][-1]])


for name, run in RUNS.items():
    mine = [w.partition('=')[2] or run for w in wanted if w.partition('=')[0] == name]
    if not mine and (wanted not in ([], ['new']) or ('new' in wanted and name in FIXED)):
        continue
    seeds, steps = (mine or [run])[0].split(',')
    if 'new' in wanted:
        seeds = f'{int(time.time())}+20'
    want, got = by_seed(on_linux(name, seeds, steps)), in_drupe(name, seeds, steps)
    got_seeds = by_seed(got)
    check(want and len(want) == len(got_seeds), f'{name} {seeds}: ran', '\n'.join(got[-10:]))
    for seed, a in want.items():
        b = got_seeds.get(seed, [])
        i = first(a, b)
        text = ''
        if i is not None:
            text = told((a[max(0, i - 3):i] + (a[i:i + 1] or ['(nothing)']), b[max(0, i - 3):i] + (b[i:i + 1] or ['(nothing)'])))
            at = re.match(r'(\d+) ', (a[i:i + 1] or ['0 '])[0])
            logs = shorten(name, seed, list(range(1, int(at[1]) + 1))) if at and int(at[1]) and os.environ.get('DIFFER_SHORTEN') != '0' else None
            text = told(logs) if logs else text
        check(i is None, f'{name} {seed}: {steps} steps', text)
done()
