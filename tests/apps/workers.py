#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's nginx with a master and two workers: requests, reload by SIGHUP, log reopening by SIGUSR1, a killed worker, graceful end."""
import os
import shutil
import subprocess
import tempfile
import time

from lib import DRUPE, ON, check, done, free_port, host_command, same

CONF = '''worker_processes 2;
daemon off;
pid /tmp/nginx.pid;
error_log stderr notice;
events { worker_connections 64; }
http { access_log off; server { listen 80; root /usr/share/nginx/html; } }
'''
port = free_port()
url = f'http://127.0.0.1:{port}/'
tools = [a for t in ('sleep', 'pgrep') for a in ('--add', shutil.which(t))]
with open('/usr/share/nginx/html/index.html') as f:
    page = f.read()
with tempfile.TemporaryDirectory() as tmp:
    conf = os.path.join(tmp, 'nginx.conf')
    with open(conf, 'w') as f:
        f.write(CONF)
    script = os.path.join(tmp, 'run.sh')
    with open(script, 'w') as f:
        f.write('#!/bin/bash\n/usr/sbin/nginx -c ' + conf + ' &\nwhile read cmd; do eval "$cmd"; done\nwait\necho ended $?\n')
    os.chmod(script, 0o755)
    log = open(os.path.join(tmp, 'log'), 'w+b')
    p = subprocess.Popen([DRUPE, 'run', *ON, '-m', '64M', '-p', f'{port}:80', *tools, '--add', '/usr/sbin/nginx', '--add', '/etc/nginx',
                          '--add', '/usr/share/nginx/html', '--add', '/var/log/nginx', '--add', '/var/lib/nginx', '--add', conf, script],
                         stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)

    def says(text, times=1, timeout=120):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            log.seek(0)
            if log.read().count(text.encode()) >= times:
                return True
            time.sleep(0.1)
        return False

    def tell(cmd):
        p.stdin.write(cmd.encode() + b'\n')
        p.stdin.flush()

    def page_comes(text):
        status, out = host_command('curl', '-sS', '--retry', '5', '--retry-all-errors', url)
        check(status == 0 and out.strip() == page.strip(), text, out)

    try:
        check(says('start worker process ', 2), 'two workers start')
        page_comes('a page')
        status, out = host_command('wrk', '-t1', '-c16', '-d3s', '--timeout', '30s', url)
        check('Requests/sec' in out and 'Socket errors' not in out and 'Non-2xx' not in out, 'wrk without errors', out)
        load = subprocess.Popen(['wrk', '-t1', '-c8', '-d4s', '--timeout', '30s', '-H', 'Connection: close', url], stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        tell('kill -HUP $(</tmp/nginx.pid)')
        check(says('start worker process ', 4), 'SIGHUP: two new workers')
        out = load.communicate(timeout=120)[0]
        check('Requests/sec' in out and 'Socket errors' not in out and 'Non-2xx' not in out, 'and no request lost by it', out)
        check(says(' exited with code 0', 2), 'and the old ones end')
        page_comes('a page from the new ones')
        tell('kill -USR1 $(</tmp/nginx.pid)')
        check(says('reopening logs', 3), 'SIGUSR1: all reopen their logs')
        tell('kill -KILL $(pgrep -P $(</tmp/nginx.pid) | { read x; echo $x; })')
        check(says('exited on signal 9'), 'a killed worker is seen')
        check(says('start worker process ', 5), 'and replaced')
        page_comes('a page after that')
        tell('kill -QUIT $(</tmp/nginx.pid)')
        p.stdin.close()
        check(says('ended 0'), 'SIGQUIT: the master ends')
        same(p.wait(60), 0, 'the machine ends with it')
    finally:
        if p.poll() is None:
            p.kill()
        p.wait()
        if not says('ended 0', timeout=0.2):
            log.seek(0)
            for line in log.read().decode(errors='replace').splitlines()[-15:]:
                print('# ' + line)
done()
