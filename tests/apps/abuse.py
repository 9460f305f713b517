#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guests that take all there is, and guests killed at every system call (abuse.c): an errno, a clean end, nothing leaks."""
from lib import build_file, check, done, drupe, same

abuse = build_file('abuse')


def run(how, memory='256M', timeout=1700, cpus='1'):
    """Its lines; what went wrong is one that begins with "leak"."""
    status, out, err = drupe('-m', memory, '--cpus', cpus, abuse, how, timeout=timeout)
    lines = out.decode(errors='replace').splitlines()
    check(status == 0 and lines[-1:] == ['went on'], f'{how}: the first process goes on', (status, lines[-5:], err[-1000:]))
    counted = [n for n in lines if n.startswith('counted ')]
    leaks = [n for n in lines if n.startswith('leak ')]
    if counted:
        check(not leaks and int(counted[0].split()[1]) > 20, f'{how}: counters are where they were', leaks or counted)
    return [n for n in lines[:-1] if not n.startswith(('leak ', 'counted '))]


same(run('kills'), [f'part {n} killed at all stops' for n in range(7)], 'killed at every system call in turn')
lines = run('bomb', '128M')
check(lines in (['processes: many, then ENOMEM'], ['processes: many, then EAGAIN']), 'a fork bomb finds its end', lines)
same(run('bomb-limit'), ['with RLIMIT_NPROC 20: 19, then EAGAIN', 'threads: 19, then EAGAIN'], 'RLIMIT_NPROC')
same(run('pids'), ['pid_max of 1: EINVAL', 'pid_max of 400: taken', 'numbers: all, then EAGAIN', 'again: all, then EAGAIN',
                   'threads-max of 30: as many, then EAGAIN'], 'numbers of processes')
same(run('oom', '128M'), ['the one that grew was ended', 'others ended: 0', 'scores: large, wanted, 0',
                          'first the one with most points, then the largest, at last who asks for more',
                          'of 30 that grow at once 25 ended'], 'who ends when memory is out')
for cpus in '1', '2':
    same(run('oom-lock', '128M', cpus=cpus), ['who reads: 0', 'the largest: 9, its lock: its owner died', 'the next: f'], f'{cpus} CPU: who was chosen waits for a lock of who wants its memory')
same(run('adj'), ['oom_score_adj 400: taken, 400', 'oom_score_adj 300: taken, 300', 'oom_score_adj 299: EACCES, 300', 'oom_score_adj 1001: EINVAL, 300',
                  'oom_score_adj x: EINVAL, 300', 'oom_adj 5: EACCES, 5', 'oom_adj 4: EACCES, 5', 'oom_adj 16: EINVAL, 5', 'oom_adj -18: EINVAL, 5',
                  'oom_adj 15: taken, 15', 'timerslack_ns 70000: taken, 70000', 'timerslack_ns -1: EINVAL, 70000', 'timerslack_ns 0: taken, 50000'],
     'oom_score_adj, oom_adj, timerslack_ns: as on Linux')
lines = run('fds')
check(len(lines) == 17 and all(n.endswith(': EMFILE') for n in lines), 'descriptors of every kind: EMFILE', lines)
run('fds-memory', '128M')
same(run('sockets'), ['the end of a chain of sockets: 0', 'the end of a ring of sockets: 0', 'the end of a chain of sockets: 0']
     + 20 * ['the end of a ring of sockets: 0'], 'sockets in the queues of sockets')
same(run('maps'), 2 * ['areas: all, then ENOMEM', 'a hole: 0 0', 'another mmap: made', 'munmap of all: 0'], 'areas without end')
same(run('names'), ['in one directory or in twenty: as long'], 'a large directory is read in proportion')
same(run('storm'), ['ends by SIGALRM: 12'], 'signals from all to all')
done()
