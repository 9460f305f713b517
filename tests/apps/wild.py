#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guests that mean harm (wild.c): an errno, their own end with a report, or an end by the sandbox; never more."""
import os

from lib import ON, build_file, check, done, drupe, same

wild = build_file('wild')
on_host = 'host' in ON
ESCAPE = '/tmp/drupe-escape'

for how in ('jumps', 'stacks', 'signals', 'maps') if on_host else ('signals',):
    status, out, err = drupe(wild, how)
    check(status == 0 and out.startswith(b'survived'), f'{how}: the program survives', (status, out[-200:], err))
status, out, err = drupe(wild, 'calls', timeout=120)
same(status, 42, 'random system calls: the program survives')
status, out, err = drupe('-m', '64M', wild, 'threads', timeout=120)
ended = status == 137 and 'out of memory' in err
check((status == 0 and out.startswith(b'survived')) or ended, 'threads without end: an errno, or its end with a report',
      (status, out[-200:], err))

if on_host:
    status, out, err = drupe('-m', '1500M', wild, 'pages', timeout=120)
    same((status, out), (0, b'survived 262144 pages, 0 wrong\n'), 'a gigabyte page by page in random order')
    status, out, err = drupe('-m', '2G', wild, 'crowd', timeout=200)
    same((status, out), (0, b'survived all threads, 0 bytes wrong\n'), 'more mappings than Linux gives')
    status, out, err = drupe(wild, 'stub', 'bus')
    check(status == 125 and 'no memory left' in err, 'SIGBUS, for want of memory of the host: a report', (status, err))
    for how, says in (('kernel-jump', ('the kernel gave up', 'the instance died')), ('kernel-write', ('the instance died',))):
        status, out, err = drupe(wild, how)
        check(status == 125 and any(s in err for s in says), f'{how}: the instance ends, with a report', (status, out, err))
    status, out, err = drupe(wild, 'stub', 'bomb')
    same((status, out), (0, b'found the stub\nsurvived few processes, then EAGAIN\na child ended with 7\n'), 'processes of the host from the stub: few')
    for call in ('open', 'socket', 'exec', 'kill', 'ptrace', 'memory', 'child'):
        status, out, err = drupe(wild, 'stub', call)
        check(out == b'found the stub\n', f'{call} from the stub: found, and nothing behind it', out)
        check(status == 125 and 'sandbox' in err, f'{call} from the stub: the sandbox ends it', (status, err))
    check(not os.path.exists(ESCAPE), 'no file was made on the host')
    # The host's own processes are all alive: kill(-1) reached none.
    status, out, err = drupe('/bin/echo', 'alive')
    same((status, out), (0, b'alive\n'), 'the next instance runs')
done()
