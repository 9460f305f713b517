# SPDX-License-Identifier: Apache-2.0
"""Servers in a machine over TAP, beside the same ones in Linux's machine: the sections redis, nginx, memcached, latency, outside and workers of
bench.py. Both machines are there all the time and are asked in turn, so what else the computer does meets both; ratios are medians of those of
neighbouring runs."""
import array
import contextlib
import os
import re
import shutil
import statistics
import tempfile

import guests
from common import BUILD, DRUPE, NGINX, PLUGIN, REDIS, Server, row, wrk
from guests import GUEST_IP, TAP, sh

ROUNDS, SECONDS = 3, 10
OFFER = os.path.join(BUILD, 'bench', 'offer')
NGINX_FILES = [f for f in ('/etc/nginx', '/usr/share/nginx', '/var/www/html') if os.path.exists(f)]


class Load:
    """A server, how it starts in either machine, and one request of it (bench/offer.c) with what has to come before."""

    def __init__(self, argv, port, script, request, setup='', dirs=(), files=()):
        self.argv, self.port, self.script, self.request, self.setup, self.dirs, self.files = argv, port, script, request, setup, dirs, files

    @contextlib.contextmanager
    def both(self, plugin=None):
        """{name: (its network's prefix, its process)} of both machines, which answer. `plugin`: arguments of insn_plugin for each name."""
        with contextlib.ExitStack() as stack:
            at = {name: stack.enter_context(guests.network()) for name in ('Drupe', 'Linux')}
            servers = {name: Server(inside, stack.enter_context(tempfile.TemporaryDirectory())) for name, inside in at.items()}
            counting = {name: ['-plugin', f'{PLUGIN},{plugin[name]}'] if plugin is not None else [] for name in at}
            env = stack.enter_context(guests.qemu_with(*counting['Drupe']))
            started = {'Drupe': servers['Drupe'].drupe(self.argv, env),
                       'Linux': servers['Linux'].linux('server', [shutil.which(self.argv[0])], self.script, dirs=self.dirs, files=self.files,
                                                       extra=counting['Linux'])}
            found = {name: (at[name], stack.enter_context(p)) for name, p in started.items()}
            for inside in at.values():
                guests.wait_port(inside, self.port)
            yield found

    def offer(self, inside, rate, connections=50, seconds=SECONDS):
        """Answers, microseconds of the median, of the 99th percentile, of the slowest."""
        return [int(w) for w in sh(*inside, OFFER, GUEST_IP, self.port, connections, seconds, rate, self.setup, self.request, timeout=60).stdout.split()]


LOADS = {
    'nginx': Load(NGINX, 80, "/usr/sbin/nginx -g 'daemon off; master_process off;'", 'GET / HTTP/1.1\r\nHost: bench\r\n\r\n',
                  dirs=['/var/log/nginx', '/var/lib/nginx', '/run', '/var/www/html'], files=NGINX_FILES),
    'redis': Load(REDIS, 6379, f"{shutil.which('redis-server')} --save '' --protected-mode no", '*2\r\n$3\r\nGET\r\n$1\r\nk\r\n', 'SET k ' + 32 * 'x' + '\r\n'),
    'memcached': Load(['memcached', '-u', 'root', '-t', '1'], 11211, f"{shutil.which('memcached')} -u root -t 1", 'get k\r\n',
                      'set k 0 0 32\r\n' + 32 * 'x' + '\r\n'),
}


def in_turn(at, measure):
    """What measure(prefix) gives in each machine, ROUNDS times in turn: a list of {name: (figure, seconds of CPU that the machine had)}."""
    def one(inside, p):
        before = guests.cpu_seconds(p.pid)
        return measure(inside), guests.cpu_seconds(p.pid) - before
    return [{name: one(*server) for name, server in at.items()} for _ in range(ROUNDS)]


def compare(what, at, rate, target):
    """A row of requests/s, and one of what a second of the machine's CPU does, which says more where others want the CPUs, too."""
    rounds = in_turn(at, rate)
    ratio = statistics.median(r['Drupe'][0] / r['Linux'][0] for r in rounds)
    d, l = (statistics.median(r[name][0] for r in rounds) for name in ('Drupe', 'Linux'))
    row(f'  {what}', f'{d:,.0f}', f'Linux {l:,.0f}', f'ratio {ratio:.2f}, at least {target}', ratio >= target)
    each = statistics.median((d / dt) / (l / lt) for (d, dt), (l, lt) in (r.values() for r in rounds))
    row('    for the same CPU time', '', '', f'ratio {each:.2f}')
    return d, l


# --- throughput -------------------------------------------------------------------------


def redis_rate(inside, op, pipeline):
    """Of SECONDS or a little more: redis-benchmark knows no time, so the first tenth says how many requests that is."""
    def run(n):
        out = sh(*inside, 'redis-benchmark', '-h', GUEST_IP, '-c', 50, '-n', n, '-t', op, '-P', pipeline, '--csv', timeout=300).stdout
        return float(re.search(rf'"{op.upper()}","([\d.]+)"', out)[1])
    return run(int(SECONDS * run(5000 * pipeline)))


def redis():
    print(f'\nredis-benchmark, 50 connections, TAP, requests/s (median of {ROUNDS} in turn, {SECONDS} s each)')
    with LOADS['redis'].both() as at:
        for op in ('get', 'set'):
            _, alone = compare(f'{op.upper()} -P 1', at, lambda inside: redis_rate(inside, op, 1), 2.5)
            _, many = compare(f'{op.upper()} -P 16', at, lambda inside: redis_rate(inside, op, 16), 1.35)
            # Of a request, the program's part p is the same with both; the rest is shared by as many as come together.
            program = (16 / many - 1 / alone) / 15
            row('    a machine that takes no time of its own', f'{1 / program:,.0f}', '', f'ratio {1 / program / many:.2f}')


def nginx():
    print(f'\nnginx, 612-byte page, wrk -t1 -c64, TAP, requests/s (median of {ROUNDS} in turn, {SECONDS} s each)')
    with LOADS['nginx'].both() as at:
        compare('keep-alive', at, lambda inside: wrk(inside, 64, SECONDS)[0], 3.0)
        compare('a connection for each', at, lambda inside: wrk(inside, 64, SECONDS, ['-H', 'Connection: close'])[0], 2.5)


def memcached():
    print(f'\nmemcached -t 1, get of 32 bytes, 50 connections, TAP, requests/s (median of {ROUNDS} in turn, {SECONDS} s each)')
    load = LOADS['memcached']
    with load.both() as at:
        compare('get', at, lambda inside: load.offer(inside, 0)[0] / SECONDS, 2.5)


# --- latency ------------------------------------------------------------------------------


def latency():
    print(f'\nLatency of 50 connections at a quarter of the rate that Linux can, us (median of {ROUNDS} in turn)')
    for name, load in LOADS.items():
        with load.both() as at:
            rate = load.offer(at['Linux'][0], 0)[0] // SECONDS // 4
            rounds = in_turn(at, lambda inside: load.offer(inside, rate))
        for what, i in (('median', 1), ('p99', 2)):
            d, l = (statistics.median(r[n][0][i] for r in rounds) for n in ('Drupe', 'Linux'))
            row(f'  {name}, {rate:,} requests/s: {what}', f'{d:,.0f}', f'Linux {l:,.0f}', f'ratio {d / l:.2f}, at most 1', d <= l)


# --- instructions ---------------------------------------------------------------------------


def counts(path):
    """Instructions executed so far: of programs, of the kernel."""
    with open(path, 'rb') as f:
        return array.array('Q', f.read())


def outside():
    print('\nGuest instructions outside the program for each request, 50 connections')
    with tempfile.TemporaryDirectory() as tmp:
        live = {name: os.path.join(tmp, name) for name in ('Drupe', 'Linux')}
        for what, load in LOADS.items():
            found = {}
            with load.both({name: f'out={path}.end,live={path}' for name, path in live.items()}) as at:
                for name, (inside, _) in at.items():
                    load.offer(inside, 0, seconds=2)  # call sites become jumps, caches fill
                    before = counts(live[name])
                    n = load.offer(inside, 0)[0]
                    found[name] = [(b - a) / n for a, b in zip(before, counts(live[name]))]
            (dp, d), (lp, l) = found['Drupe'], found['Linux']
            row(f'  {what}', f'{d:,.0f}', f'Linux {l:,.0f}', f'ratio {d / l:.2f}, at most 0.25', d / l <= 0.25)
            row('    the program itself', f'{dp:,.0f}', f'Linux {lp:,.0f}')


# --- two CPUs -------------------------------------------------------------------------------

WORKERS = '''user root; daemon off; worker_processes {workers}; error_log stderr; pid /tmp/nginx.pid;
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
server {{ listen 80 reuseport; root /usr/share/nginx/html; }} }}
'''


def worker_rates(on, workers, multi_queue):
    """Requests/s, and those in a second of the CPU that the instance had."""
    with guests.network(multi_queue=multi_queue) as inside, tempfile.TemporaryDirectory() as tmp:
        conf = os.path.join(tmp, 'nginx.conf')
        with open(conf, 'w') as f:
            f.write(WORKERS.format(workers=workers))
        argv = [*inside, DRUPE, 'run', '--on', on, '--cpus', workers, '--net', f'tap:{TAP}', '--ip', f'{GUEST_IP}/24', '--allow', 'tcp:80', '--add', conf,
                'nginx', '-c', conf]
        with guests.process(argv, os.path.join(tmp, 'log')) as p:
            guests.wait_port(inside, 80)
            wrk(inside, 64, 1)
            before = guests.cpu_seconds(p.pid)
            rate = wrk(inside, 64, SECONDS)[0]
            return rate, rate * SECONDS / (guests.cpu_seconds(p.pid) - before)


def workers():
    print(f'\nnginx with two workers on two CPUs, against one on one: requests/s (median of {ROUNDS} in turn, {SECONDS} s each)')
    for on, multi_queue in (('qemu', True), ('host', False)):
        rounds = [[worker_rates(on, n, multi_queue) for n in (1, 2)] for _ in range(ROUNDS)]
        gain, each = (statistics.median(two[i] / one[i] for one, two in rounds) for i in (0, 1))
        rates = [statistics.median(r[n][0] for r in rounds) for n in (0, 1)]
        row(f'  --on {on}', f'{rates[1]:,.0f}', f'of {rates[0]:,.0f}', f'{gain:.2f} times; at least 1.7 where wrk has a CPU of its own too',
            gain >= 1.7 if os.cpu_count() >= 4 else None)
        row('    in a second of the CPU that it had, twice', '', '', f'{2 * each:.2f} times; at least 1.7', 2 * each >= 1.7)


SECTIONS = {f.__name__: f for f in (redis, nginx, memcached, latency, outside, workers)}
