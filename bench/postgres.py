# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL 15 of Debian under pgbench, select-only, over TAP: the section postgres of bench.py. Both machines have the same memory, make their
own database (initdb) in it, in a tmpfs, and are filled by the same client."""
import os
import pwd
import re
import shutil
import statistics
import tempfile
import time

import guests
from common import FIRST, Server, row
from guests import GUEST_IP, sh

BIN = '/usr/lib/postgresql/15/bin'
FILES = ['/usr/lib/postgresql/15', '/usr/share/postgresql/15']
MEMORY = '1024M'
SCALE, CLIENTS, RUNS, SECONDS = 10, 8, 3, 20

SCRIPT = f'''#!/bin/sh
set -e
export LC_ALL=C TZ=UTC
{BIN}/initdb -D /tmp/data -A trust --no-sync
echo "host all all 0.0.0.0/0 trust" >>/tmp/data/pg_hba.conf
exec {BIN}/postgres -D /tmp/data -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off -c shared_buffers=128MB -c jit=off
'''
TO = ['-h', GUEST_IP, '-U', 'postgres']


def _drupe(server, script):
    user = pwd.getpwnam('postgres')
    add = [a for path in (*(shutil.which(t) for t in ('sh', 'cat', 'locale')), *FILES) for a in ('--add', path)]
    return server.drupe(['-m', MEMORY, '-u', f'{user.pw_uid}:{user.pw_gid}', *add, script])


def _linux(server, script):
    start = ('mkdir -m 1777 /dev/shm\nmount -t tmpfs shm /dev/shm\nchmod 1777 /tmp\n'
             f'cat >/tmp/pg.sh <<"END"\n{SCRIPT}END\nchmod 755 /tmp/pg.sh\nsu -s /bin/sh postgres /tmp/pg.sh')
    return server.linux('postgres', [f'{BIN}/postgres', f'{BIN}/initdb'], start, memory=MEMORY, files=FILES)


def _wait_ready(inside, p, seconds=400):
    end = time.monotonic() + seconds
    while sh(*inside, f'{BIN}/pg_isready', *TO, '-q', check=False).returncode != 0:
        if time.monotonic() > end or p.poll() is not None:
            raise RuntimeError('the database does not answer')
        time.sleep(0.5)


def _rates(inside, p):
    """Transactions per second, and per second of CPU that the machine had: on a busy host the second says more."""
    before = guests.cpu_seconds(p.pid)
    out = sh(*inside, f'{BIN}/pgbench', *TO, '-S', '-n', '-c', CLIENTS, '-T', SECONDS, 'postgres', timeout=SECONDS + 120).stdout
    used = guests.cpu_seconds(p.pid) - before
    if 'number of failed transactions: 0 ' not in out:
        raise RuntimeError(out)
    return float(re.search(r'tps = ([\d.]+)', out)[1]), int(re.search(r'actually processed: (\d+)', out)[1]) / used


def _measure(inside, p):
    _wait_ready(inside, p)
    sh(*inside, f'{BIN}/pgbench', *TO, '-i', '-I', 'dtGvp', '-q', '-s', SCALE, 'postgres', timeout=1200)
    runs = [_rates(inside, p) for _ in range(RUNS)]
    return [statistics.median(r) for r in zip(*runs)]


def postgres():
    print(f'\nPostgreSQL, pgbench -S -c {CLIENTS} -T {SECONDS}, scale {SCALE}, TAP, transactions (median of {RUNS})')
    found = {}
    with guests.network() as network, tempfile.TemporaryDirectory() as tmp:
        inside = [*network, *FIRST]
        os.chmod(tmp, 0o755)  # another user reads the script
        script = os.path.join(tmp, 'pg.sh')
        with open(script, 'w') as f:
            f.write(SCRIPT)
        os.chmod(script, 0o755)
        server = Server(inside, tmp)
        for name, start in (('Drupe', _drupe), ('Linux', _linux)):
            with start(server, script) as p:
                found[name] = _measure(inside, p)
    for what, d, l in zip(('per second', 'per second of the machine\'s CPU'), found['Drupe'], found['Linux']):
        row(f'  select-only, {what}', f'{d:,.0f}', f'Linux {l:,.0f}', f'ratio {d / l:.2f}, at least 1.2', d / l >= 1.2)


SECTIONS = {'postgres': postgres}
