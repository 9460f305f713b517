#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL 15 of Debian: initdb as user postgres inside, then the server; pgbench from the host."""
import os
import pwd
import re
import shutil
import tempfile

from lib import check, done, free_port, host_command, server, stop

BIN = '/usr/lib/postgresql/15/bin'
port = free_port()
user = pwd.getpwnam('postgres')
with tempfile.TemporaryDirectory() as tmp:
    script = os.path.join(tmp, 'pg.sh')
    with open(script, 'w') as f:
        f.write(f'''#!/bin/bash
set -e
{BIN}/initdb -D /tmp/data -A trust --no-sync
echo "host all all 0.0.0.0/0 trust" >> /tmp/data/pg_hba.conf
exec {BIN}/postgres -D /tmp/data -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off -c shared_buffers=32MB
''')
    os.chmod(script, 0o755)
    os.chmod(tmp, 0o755)
    tools = [a for t in ('sh', 'cat', 'locale') for a in ('--add', shutil.which(t))]
    to = ['-h', '127.0.0.1', '-p', str(port), '-U', 'postgres']

    def ready():
        """The port answers before the database does."""
        if host_command(f'{BIN}/pg_isready', *to, '-q')[0] != 0:
            raise OSError('not yet')

    with server('-m', '512M', '-p', f'{port}:5432', '-u', f'{user.pw_uid}:{user.pw_gid}', *tools, '--add', '/usr/lib/postgresql/15',
                '--add', '/usr/share/postgresql/15', '-e', 'LC_ALL=C', '-e', 'TZ=UTC', script,
                ready=ready, timeout=400) as p:
        status, out = host_command(f'{BIN}/pgbench', *to, '-i', '-q', 'postgres', timeout=300)
        check(status == 0, 'pgbench -i', out)
        status, out = host_command(f'{BIN}/pgbench', *to, '-c', '8', '-T', '4', 'postgres', timeout=180)
        check(status == 0 and 'number of failed transactions: 0 ' in out, 'pgbench -c 8: no failed transaction', out)
        done_ = re.search(r'actually processed: (\d+)', out)
        check(done_ is not None and int(done_[1]) > 0, 'transactions were made', out)
        print('# ' + ' '.join(re.findall(r'tps = \S+', out)))
        status, out = host_command(f'{BIN}/psql', *to, '-Atc', 'select count(*), sum(abalance) = (select sum(delta) from pgbench_history) '
                                   'from pgbench_accounts', 'postgres')
        check(out.strip() == '100000|t', 'the accounts add up', out)
        check(stop(p, timeout=120) in (0, 130), 'it stops')
done()
