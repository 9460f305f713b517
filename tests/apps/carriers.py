#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Address spaces and their processes of the host: more than there may be, only the first one, one that is killed, signals to all."""
import contextlib
import os
import random
import signal
import subprocess
import time

from lib import DRUPE, ON, build_file, check, done, drupe, processes_of, same

carriers = build_file('carriers')
CROWD = 300 # no multiple of 7: carriers.c


def start(*argv, options=()):
    p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', *options, carriers, *map(str, argv)], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    same(p.stdout.readline(), b'ready\n', f'{argv}: runs')
    return p


def reaches(pid, states):
    """Wait until it is in one of these states of proc(5), or gone."""
    end = time.monotonic() + 60
    with contextlib.suppress(OSError):
        while open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0] not in states and time.monotonic() < end:
            time.sleep(0.002)


def gone(pids):
    end = time.monotonic() + 60
    while any(os.path.exists(f'/proc/{pid}') for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(os.path.exists(f'/proc/{pid}') for pid in pids)


def crowd(what, n, memory, most, cpus=1):
    """There is a process for each 4 MiB, at most."""
    p = start('crowd', n, options=('-m', f'{memory}M', '--cpus', str(cpus)))
    p.stdin.write(b'g')
    p.stdin.flush()
    same(p.stdout.readline(), b'made\n', f'{what}: made')
    found = len(processes_of(p))
    check(found <= most, f'{what}: no more than {most} processes', found)
    out, _ = p.communicate(timeout=120)
    same((p.returncode, out.decode()), (0, f'crowd of {n}: 0 wrong, {n} ended well\n'), what)


crowd('more address spaces than there may be processes', CROWD, 512, 128)
crowd('twelve', 40, 48, 12)
crowd('two that take turns', 10, 8, 2)
crowd('one for all', 6, 6, 1)
crowd('two that take turns on two CPUs', 10, 8, 2, 2)
crowd('more address spaces than there may be processes, on four CPUs', 60, 512, 32, 4)
status, _, err = drupe('--cpus', 2, '-m', '6M', carriers, 'stay')
check(status == 125 and '--cpus: several CPUs need' in err, 'two CPUs and memory for one process are refused', (status, err))
same(drupe(carriers, 'asleep')[:2], (0, b'asleep: file z, own page 77, copy ac\nasleep: SIGBUS behind the file\'s end\n'
                                        b'awake: own page 40, poked 1, cut 0, ended 0\n'), 'what is done to one that sleeps')

p = start('stay', 20)
found = processes_of(p)
check(2 <= len(found) <= 21, 'a process for each address space, or fewer', found)
for number, state in ((signal.SIGURG, 'RS'), (signal.SIGSTOP, 'T'), (signal.SIGCONT, 'RS')):
    for pid in random.sample(found[1:], len(found) - 1) + found[:1]:
        os.kill(pid, number)
        reaches(pid, state)
out, _ = p.communicate(b'q', timeout=120)
same((p.returncode, out), (0, b'went on\n'), 'input reaches the one that runs, stopped and continued')
check(gone(found), 'nothing is left of it', found)

# Where they are among the host's CPUs (place.c).
def becomes(where, found, n):
    """Do n of these processes come to be where they are wanted, within ten seconds?"""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        places = [tuple(os.sched_getaffinity(pid)) for pid in found]
        if sum(where(place) for place in places) >= n and (n == 1 or len(set(places)) == 1):
            return True
        time.sleep(0.02)
    return False


every = tuple(os.sched_getaffinity(0))
if len(every) > 1:
    p = start('talk')
    found = processes_of(p)
    check(becomes(lambda place: len(place) == 1, found, 2), 'two that talk to each other are on one CPU of the host', found)
    p.stdin.write(b'c')
    p.stdin.flush()
    check(becomes(lambda place: place == every, found, 1), 'one that computes may be anywhere', found)
    out, _ = p.communicate(b'q', timeout=60)
    same((p.returncode, out), (0, b'talked\n'), 'and ends')
    p = start('aside', 8, options=('--cpus', '2'))
    held = [sum(len(os.sched_getaffinity(int(tid))) == 1 for tid in os.listdir(f'/proc/{pid}/task')) for pid in processes_of(p)]
    check(sum(n > 1 for n in held) <= 2, 'who has never had the turn is held nowhere', held) # the first two may have been on both CPUs
    p.communicate(b'q', timeout=60)

def end_among_others():
    """The first learns of the end of another though SIGCHLD keeps coming."""
    p = start('stay', 3)
    found = processes_of(p)
    end = time.monotonic() + 20
    sent = 0
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.kill(found[0], signal.SIGCHLD)
            sent += 1
            if sent == 1000:
                os.kill(found[-1], signal.SIGKILL)
    check(time.monotonic() < end, 'an end is noticed among signals of the same kind')
    with contextlib.suppress(ProcessLookupError):
        os.kill(found[0], signal.SIGKILL)
    p.communicate(timeout=60)


for _ in range(10):
    end_among_others()

for number, cpus in ((signal.SIGKILL, 1), (signal.SIGTERM, 1), (signal.SIGKILL, 2)):
    p = start('stay', 5, options=('--cpus', str(cpus)))
    found = processes_of(p)
    check(len(found) > 1, 'has more than one process', found)
    os.kill(found[-1], number)
    out, err = p.communicate(timeout=120)
    check(p.returncode == 125 and f'signal {int(number)}'.encode() in err, f'{number.name} to any of them, with {cpus} CPUs, ends all, and it is said', (p.returncode, err))
    check(gone(found), 'nothing is left of it', found)

# Events to all at random, as fast as can be, while they take turns.
p = start('ticking', 4)
found = processes_of(p)
end = time.monotonic() + 2
with contextlib.suppress(ProcessLookupError):
    while time.monotonic() < end:
        for pid in found:
            os.kill(pid, random.choice((signal.SIGURG, signal.SIGALRM, signal.SIGCHLD)))
out, _ = p.communicate(timeout=120)
same((p.returncode, out), (0, b'0 of 4 lost a tick\n'), 'no tick is lost among events from outside')
done()
