#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A kernel without all that -Dwithout= can leave out is as small as promised, says what it has not, and runs redis."""
import os
import pathlib
import subprocess
import sys

from lib import BUILD, DRUPE, ON, check, done, drupe, free_port, host_command, same, server, stop, talk

LIMIT = 409600
SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / 'scripts' / 'trimmed.py'
os.environ['DRUPE_KERNEL'] = kernel = subprocess.check_output([sys.executable, SCRIPT, pathlib.Path(BUILD).parent], text=True).strip()
size = os.path.getsize(kernel)
check(size <= LIMIT, f'the kernel takes {size:,} bytes, at most {LIMIT:,}')
same(drupe(BUILD + '/hello')[:2], (0, b'hello, world\n'), 'hello')
status, _, err = drupe('-V', '/bin/sh', '-c', '(exit 3)')
check(status == 2 and 'Cannot fork' in err, 'no fork', (status, err))
check('a part of system call 56 is missing' in err and 'calls missing: rseq 1, 56 1' in err, 'and -V says so, and how often at the end', err)
status, _, err = drupe('--egress', 'none', BUILD + '/hello')
check(status == 125 and 'no packet filter' in err, 'rules without a filter are refused', (status, err))
master, slave = os.openpty()
r = subprocess.run([DRUPE, 'run', *ON, '-t', BUILD + '/hello'], stdin=slave, capture_output=True, text=True, timeout=120)
check(r.returncode == 125 and 'no terminals' in r.stderr, 'nor does it promise a terminal', r)
port = free_port()
with server('-p', f'{port}:6379', 'redis-server', '--save', '', '--protected-mode', 'no',
            ready=lambda: talk(port, b'PING\r\n')) as p:
    status, out = host_command('redis-benchmark', '-p', str(port), '-c', '50', '-n', '5000', '-t', 'get,set', '-q', timeout=120)
    check(status == 0 and out.count('requests per second') == 2, 'redis-benchmark', out)
    same(stop(p), 0, 'SIGTERM stops it cleanly')
done()
