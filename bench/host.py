# SPDX-License-Identifier: Apache-2.0
"""`drupe run --on host` against the native process and gVisor (runsc), side by side: the sections host-* of bench.py."""
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

import guests
from common import BUILD, DRUPE, HELLO, MICRO, NGINX, REDIS, first_line_ms, parse_micro, redis_rates, row, wrk
from guests import GUEST_IP, TAP, sh

ON = ['--on', 'host']
TOUCH = os.path.join(BUILD, 'bench', 'touch')


def output(argv, timeout=120):
    r = subprocess.run(list(map(str, argv)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if r.returncode != 0:
        raise RuntimeError(f'{argv}: status {r.returncode}\n{r.stderr}')
    return r.stdout


# --- system calls ---------------------------------------------------------------------


def best_rows(argv, runs):
    best = {}
    for _ in range(runs):
        for k, v in parse_micro(output(argv)).items():
            best[k] = min(v, best.get(k, v))
    return best


# What each row may take, times the native process. The first is 15 ns where the native call takes 124.
CALL_LIMITS = {'getppid': 15 / 124, 'clock_gettime': 1.2, 'pthread create+join': 2.0, 'mmap 1 page': 2.0, 'mmap 4 MiB': 2.0,
               'pipe ping-pong, two processes': 2.0, 'vfork+exec+exit+wait': 3.0, 'fork+exit+wait, 64 MiB': 3.0}


def calls():
    print('\nSystem calls as a process, ns (best of three runs each)')
    with tempfile.TemporaryDirectory() as tmp:
        native = best_rows([MICRO], 3)
        drupe = best_rows([DRUPE, 'run', *ON, MICRO], 3)
        runsc = best_rows(guests.Bundle(tmp, [MICRO]).runsc(), 1)
    for k, v in native.items():
        ratio, limit = drupe[k] / v, CALL_LIMITS.get(k, 1.0)
        row(f'  {k}', f'{drupe[k]:,}', f'native {v:,}, runsc {runsc.get(k, 0):,}', f'ratio {ratio:.2f}, at most {limit:.2f}', ratio <= limit)


# --- servers ----------------------------------------------------------------------------


@contextlib.contextmanager
def drupe_server(argv, port):
    with guests.network() as inside, tempfile.TemporaryDirectory() as tmp:
        command = [*inside, DRUPE, 'run', *ON, '--net', f'tap:{TAP}', '--ip', f'{GUEST_IP}/24', '--allow', f'tcp:{port}', *argv]
        with guests.process(command, os.path.join(tmp, 'log')) as p:
            guests.wait_port(inside, port, 20)
            yield inside, p


@contextlib.contextmanager
def native_server(argv, port):
    with guests.veth_network() as (inside, peer), tempfile.TemporaryDirectory() as tmp:
        with guests.process(guests.native(peer, argv), os.path.join(tmp, 'log')) as p:
            guests.wait_port(inside, port, 20)
            yield inside, p


@contextlib.contextmanager
def runsc_server(argv, port):
    with guests.veth_network() as (inside, peer), tempfile.TemporaryDirectory() as tmp:
        bundle = guests.Bundle(tmp, [shutil.which(argv[0]), *argv[1:]], peer[-1])
        with guests.process(bundle.runsc(), os.path.join(tmp, 'log')) as p:
            try:
                guests.wait_port(inside, port, 30)
                yield inside, p
            finally:
                bundle.kill()


SERVERS = {'drupe': drupe_server, 'native': native_server, 'runsc': runsc_server}


def redis():
    print('\nredis-benchmark, 50 connections, requests/s (median of 3): TAP for Drupe, veth for the others')
    cases = (('1', 100000, 20000, 4, 0.7), ('16', 1000000, 200000, 6, 0.6))
    found = {}
    for name, server in SERVERS.items():
        with server(REDIS, 6379) as (inside, _):
            for pipeline, n, n_slow, *_ in cases:
                runs = [redis_rates(inside, ['-P', pipeline], n_slow if name == 'runsc' else n)
                        for _ in range(1 if name == 'runsc' else 3)]
                for op in ('GET', 'SET'):
                    found[name, op, pipeline] = statistics.median(r[op] for r in runs)
    for pipeline, _, _, runsc_times, native_times in cases:
        for op in ('GET', 'SET'):
            d, n, g = (found[name, op, pipeline] for name in ('drupe', 'native', 'runsc'))
            row(f'  {op} -P {pipeline}', f'{d:,.0f}', f'native {n:,.0f}', f'ratio {d / n:.2f}, at least {native_times}', d / n >= native_times)
            row('', '', f'runsc {g:,.0f}', f'ratio {d / g:.2f}, at least {runsc_times}', d / g >= runsc_times)


def nginx():
    print('\nnginx, 612-byte page, wrk -t1 -c32, requests/s (median of 3): TAP for Drupe, veth for the others')
    found = {}
    for name, server in SERVERS.items():
        with server(NGINX, 80) as (inside, _):
            runs = [wrk(inside, 32, 5) for _ in range(1 if name == 'runsc' else 3)]
            found[name] = statistics.median(r[0] for r in runs), runs[-1][1]
    d, n, g = (found[name] for name in ('drupe', 'native', 'runsc'))
    row('  requests/s', f'{d[0]:,.0f}', f'runsc {g[0]:,.0f}', f'ratio {d[0] / g[0]:.2f}, at least 5', d[0] / g[0] >= 5)
    row('', '', f'native {n[0]:,.0f}', f'ratio {d[0] / n[0]:.2f}')
    row('  p99 latency', d[1], f'native {n[1]}', f'runsc {g[1]}')


# --- start --------------------------------------------------------------------------------


def start():
    print('\nStart of hello, exec to first byte, as a process (median of 21, the image cached)')
    output([DRUPE, 'run', *ON, HELLO])

    def median(argv, runs=21):
        return statistics.median(first_line_ms(argv) for _ in range(runs))

    ms = median([DRUPE, 'run', *ON, HELLO])
    row('  drupe run --on host', f'{ms:.1f}', 'ms', 'at most 6', ms <= 6)
    row('  native', f'{median([HELLO]):.1f}', 'ms')
    with tempfile.TemporaryDirectory() as tmp:
        bundle = guests.Bundle(tmp, [HELLO])
        for name in ('crun', 'runc'):
            if shutil.which(name):
                with contextlib.suppress(RuntimeError):  # not on every arrangement of cgroups
                    row(f'  {name}', f'{median(bundle.runtime(name)):.1f}', 'ms')
        # The target's machine took 106 ms here: the same for a machine of any speed.
        runsc = median(bundle.runsc(), 5)
        row('  runsc', f'{runsc:.1f}', 'ms', f'{runsc / ms:.1f} times Drupe; at least {106 / 6:.1f}', runsc / ms >= 106 / 6)


# --- memory ---------------------------------------------------------------------------------


def idle_kib(server):
    with server(REDIS, 6379) as (_, p):
        time.sleep(2)
        return guests.memory_kib(guests.descendants(p.pid))


def user_net_kib():
    port = guests.free_port()
    with tempfile.NamedTemporaryFile() as log, guests.process([DRUPE, 'run', *ON, '-p', f'{port}:6379', *REDIS], log.name) as p:
        time.sleep(3)
        if 'PONG' not in sh('redis-cli', '-p', port, 'ping', timeout=10).stdout:
            raise RuntimeError('redis does not answer')
        return guests.memory_kib(guests.descendants(p.pid))


def memory():
    print('\nMemory of an idle redis, all its processes, KiB (proportional share of mappings, memory files in full)')
    native = idle_kib(native_server)
    for name, kib in (('TAP', idle_kib(drupe_server)), ('user networking', user_net_kib())):
        row(f'  drupe, {name}', f'{kib:,}', 'KiB', f'native + {kib - native:,}, at most 6,144 more', kib - native <= 6144)
    row('  native', f'{native:,}', 'KiB')
    row('  runsc', f'{idle_kib(runsc_server):,}', 'KiB')


def touch():
    print('\n64 MiB of fresh anonymous memory, a byte in each page, ms (best of 7)')

    def best(*argv):
        return min(parse_micro(output(argv))['touch'] for _ in range(7)) / 1e6

    with open('/sys/kernel/mm/transparent_hugepage/enabled') as f:
        setting = re.search(r'\[(\w+)\]', f.read())[1]
    drupe, small, own = best(DRUPE, 'run', *ON, TOUCH), best(TOUCH, 'nohuge'), best(TOUCH)
    row('  drupe', f'{drupe:.1f}', f'native {small:.1f}', f'without huge pages: ratio {drupe / small:.2f}, at most 2.5', drupe / small <= 2.5)
    row('', '', f'native {own:.1f}', f'with this machine\'s setting ({setting}): ratio {drupe / own:.2f}')


SECTIONS = {'host-calls': calls, 'host-redis': redis, 'host-nginx': nginx, 'host-start': start, 'host-memory': memory,
            'host-touch': touch}
