#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each allocation of each system call fails in turn, and kills come everywhere (faults.c): an errno, a clean end, nothing leaks."""
from lib import ON, build_file, check, done, drupe

everything = 'all' in ON
if everything:
    ON.remove('all')
faults = build_file('faults')


def run(*args):
    status, out, err = drupe('-m', '256M', faults, *args, timeout=800)
    lines = out.decode(errors='replace').splitlines()
    what = ' '.join(map(str, args))
    check(status == 0 and lines[-1:] == ['went on'], f'{what}: the first process goes on', (status, lines[-5:], err[-1000:]))
    bad = [n for n in lines if n.startswith(('odd ', 'stall ', 'leak '))]
    check(not bad, f'{what}: answered by an errno, and all comes back', '\n'.join(bad))
    return [n for n in lines if n.startswith(('family ', 'part '))]


lines = run('calls', 10 if everything else 2)
failures = [int(n.split()[-2]) for n in lines]
check(len(lines) == 23 and all(n > 1 for n in failures) and sum(failures) > 600, 'system calls of every family failed', '\n'.join(lines))
lines = run('kills', 1 if everything else 37)
check(len(lines) == 7 and all(n.endswith('everywhere') for n in lines), 'kills came everywhere', lines)
done()
