#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's nginx in one process, serving its page to curl and wrk."""
from lib import check, done, free_port, host_command, same, server, stop, talk

port = free_port()
with open('/usr/share/nginx/html/index.html') as f:
    page = f.read()
with server('-m', '12M', '-p', f'{port}:80', 'nginx', '-g', 'daemon off; master_process off;',
            ready=lambda: talk(port, b'GET / HTTP/1.0\r\n\r\n')) as p:
    url = f'http://127.0.0.1:{port}/'
    status, out = host_command('curl', '-sS', url)
    check(status == 0 and out.strip() == page.strip(), 'curl gets the page', out)
    status, out = host_command('curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', url + 'missing')
    same(out, '404', 'a missing page is 404')
    status, out = host_command('wrk', '-t1', '-c32', '-d3s', '--timeout', '30s', '--latency', url, timeout=120)
    check('Requests/sec' in out and 'Socket errors' not in out and 'Non-2xx' not in out, 'wrk without errors', out)
    status, out = host_command('wrk', '-t1', '-c16', '-d2s', '--timeout', '30s', '-H', 'Connection: close', url, timeout=120)
    check('Requests/sec' in out and 'Non-2xx' not in out and 'connect 0' in out or 'Socket errors' not in out,
          'wrk with a new connection for each request', out)
    check(stop(p) in (0, 130), '^C stops it')
done()
