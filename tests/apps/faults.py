#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each allocation and each touch of program memory of each system call fails in turn, and kills come everywhere (faults.c): an errno, a clean end, nothing leaks."""
from pathlib import Path

from lib import ON, build_file, check, done, drupe

everything = 'all' in ON
if everything:
    ON.remove('all')
limit = 1700 if everything else 400  # of each run; tests/meson.build has more than twice that
faults = build_file('faults')
made = {}

# Calls that no run can make while a failure (fail-nth, touch-nth) or a kill (kill-nth) is to come, and why.
EXCEPT = {}


def run(*args):
    status, out, err = drupe('-m', '256M', faults, *args, timeout=limit)
    lines = out.decode(errors='replace').splitlines()
    what = ' '.join(map(str, args))
    check(status == 0 and lines[-1:] == ['went on'], f'{what}: the first process goes on', (status, lines[-5:], err[-1000:]))
    bad = [n for n in lines if n.startswith(('odd ', 'stall ', 'leak '))]
    check(not bad, f'{what}: answered by an errno, and all comes back', '\n'.join(bad))
    for n in lines:
        if n.startswith('made '):
            _, nr, how = n.split()
            made[int(nr)] = made.get(int(nr), 0) | int(how)
    return [n for n in lines if n.startswith(('family ', 'part '))]


def implemented():
    """Number and name of each call that the kernel has."""
    for line in open(Path(__file__).parents[2] / 'kernel/linux/syscalls.tbl'):
        words = line.split('#')[0].split()
        if words and words[3] not in ('missing', 'absent'):
            yield int(words[0]), words[1]


lines = run('calls', 10 if everything else 2)
failures = [int(n.split()[-2]) for n in lines]
check(len(lines) == 30 and all(n > 1 for n in failures) and sum(failures) > 1500, 'system calls of every family failed', '\n'.join(lines))
lines = run('kills', 1 if everything else 97)
killed = [int(n.split()[-2]) for n in lines]
check(len(lines) == 40 and killed.count(0) <= 1 and sum(killed) > (3000 if everything else 40), 'kills came everywhere', '\n'.join(lines)) # exit_group() never waits
calls = list(implemented())
check(len(calls) > 300, 'the table of system calls', len(calls))
for files, what in {1: 'its allocations failing', 2: 'its touches of memory failing', 4: 'kills'}.items():
    missed = {name for nr, name in calls if not made.get(nr, 0) & files}
    check(missed == set(EXCEPT), f'each system call is made with {what}; a new one wants a line in tests/apps/faults_*.c', missed ^ set(EXCEPT))
done()
