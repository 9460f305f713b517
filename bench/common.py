# SPDX-License-Identifier: Apache-2.0
"""What the benchmark sections share: programs, rows, loads."""
import os
import re
import subprocess
import sys
import time

import guests
from guests import GUEST_IP, TAP, sh

BUILD = os.path.abspath(sys.argv[1])
DRUPE = os.path.join(BUILD, 'drupe')
PLUGIN = os.path.join(BUILD, 'bench', 'insn_plugin.so')
HELLO = os.path.join(BUILD, 'tests', 'hello')
MICRO = os.path.join(BUILD, 'bench', 'micro')
REDIS = ['redis-server', '--save', '', '--protected-mode', 'no']
FIRST = ['nice', '-n', '-20']  # before what else there is to do
NGINX = ['nginx', '-g', 'daemon off; master_process off;']


def row(name, value, unit='', target='', verdict=None):
    mark = '' if verdict is None else ('  reached' if verdict else '  MISSED')
    print(f'{name:46} {value:>14} {unit:12} {target}{mark}', flush=True)


def symbol(path, name):
    for line in sh('nm', path).stdout.splitlines():
        value, _, found = line.partition(' ')
        if found.split()[-1] == name:
            return int(value, 16)
    raise RuntimeError(f'{path}: no symbol {name}')


def run_drupe(*args, env=None, timeout=120, prefix=()):
    start = time.perf_counter()
    r = subprocess.run([*prefix, DRUPE, 'run', *args], stdin=subprocess.DEVNULL, capture_output=True, env=env,
                       timeout=timeout)
    return r, time.perf_counter() - start


def first_line_ms(argv, env=None):
    start = time.perf_counter()
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    while b'hello' not in (line := p.stdout.readline()):
        if not line:
            raise RuntimeError('no hello')
    ms = (time.perf_counter() - start) * 1000
    p.stdout.close()
    p.wait(30)
    return ms


def parse_micro(text):
    return {m[1]: int(m[2]) for m in re.finditer(r'^(.+) (\d+)\r?$', text, re.M) if m[1] != 'end'}


def redis_rates(inside, extra, n):
    out = sh(*inside, 'redis-benchmark', '-h', GUEST_IP, '-c', '50', '-n', n, '-t', 'get,set', '--csv', *extra,
             timeout=300).stdout
    return {m[1]: float(m[2]) for m in re.finditer(r'"(GET|SET)","([\d.]+)"', out)}


def wrk(inside, connections, seconds, extra=()):
    """Requests/s, and the 99th percentile of latency as wrk writes it."""
    out = sh(*inside, 'wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--latency', *extra, f'http://{GUEST_IP}/', timeout=seconds + 60).stdout
    p99 = re.search(r'99%\s+(\S+)', out)
    return float(re.search(r'Requests/sec:\s+([\d.]+)', out)[1]), p99[1] if p99 else '?'


class Server:
    """A server in either guest, on the TAP device."""

    def __init__(self, inside, tmp):
        self.inside, self.tmp = inside, tmp

    def drupe(self, argv, env=None):
        return guests.process([*self.inside, DRUPE, 'run', '--on', 'qemu', '--net', f'tap:{TAP}', '--ip',
                               f'{GUEST_IP}/24', '--allow', 'tcp:1-65535', '--allow', 'udp:1-65535', *argv], os.path.join(self.tmp, 'drupe.log'), env=env)

    def linux(self, name, programs, script, memory='512M', extra=(), **more):
        linux = guests.LinuxGuest(self.tmp)
        image = linux.initramfs(name, programs=programs, script=script, **more)
        return guests.process([*self.inside, *linux.argv(image, memory=memory, net=self.inside, extra=extra)], os.path.join(self.tmp, 'linux.log'))
