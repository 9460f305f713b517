#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's redis-server, driven by redis-cli and redis-benchmark through a published port."""
import os
import signal
import subprocess
import tempfile

from lib import DRUPE, MACHINES, check, done, free_port, host_command, same, server, stop, talk

ARGS = ['redis-server', '--save', '', '--protected-mode', 'no']


def drive(port, label):
    cli = ['redis-cli', '-p', str(port)]
    same(host_command(*cli, 'set', 'key', 'value')[1].strip(), 'OK', f'{label}: SET')
    same(host_command(*cli, 'get', 'key')[1].strip(), 'value', f'{label}: GET')
    big = 'x' * 300000
    same(host_command(*cli, '-x', 'set', 'big', input=big.encode())[1].strip(), 'OK', f'{label}: SET of 300 kB')
    same(len(host_command(*cli, 'get', 'big')[1].strip()), len(big), f'{label}: GET of 300 kB')
    check('redis_version' in host_command(*cli, 'info')[1], f'{label}: INFO')
    script = "local s=0 for i=1,1000 do s=s+i end return s"
    same(host_command(*cli, 'eval', script, '0')[1].strip(), '500500', f'{label}: EVAL')
    for extra in ([], ['-P', '16'], ['-k', '0', '-n', '500']):
        status, out = host_command('redis-benchmark', '-p', str(port), '-c', '50', '-n', '5000', '-t', 'get,set', '-q',
                                   *extra, timeout=120)
        check(status == 0 and out.count('requests per second') == 2, f'{label}: redis-benchmark {" ".join(extra)}', out)


for machine, options in MACHINES:
    port = free_port()
    with server(*options, '-p', f'{port}:6379', *ARGS, ready=lambda: talk(port, b'PING\r\n')) as p:
        drive(port, machine)
        same(stop(p, signal.SIGINT), 0, f'{machine}: ^C stops it cleanly')

with tempfile.TemporaryDirectory() as tmp:
    image = os.path.join(tmp, 'redis.img')
    r = subprocess.run([DRUPE, 'build', '-o', image, *ARGS], capture_output=True, timeout=120)
    same(r.returncode, 0, 'drupe build -o redis.img')
    same(host_command('fsck.erofs', image)[0], 0, 'fsck.erofs is content')
    port = free_port()
    with server('-m', '14M', '-p', f'{port}:6379', image, ready=lambda: talk(port, b'PING\r\n')) as p:
        same(talk(port, b'PING\r\n'), b'+PONG\r\n', 'the image runs with -m 14M')
        same(stop(p, signal.SIGTERM), 0, 'SIGTERM stops it cleanly')
done()
