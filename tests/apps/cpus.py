#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs on two CPUs: OpenMP uses both, Debian's sysbench ends without errors, tools see them, idle ones that look for each other serve the network."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading

from beside import free_port
from lib import BUILD, DRUPE, MACHINES, ON, check, done, drupe, processes_of, same, server

CLIENTS, ECHOES = 3, 1500
FIRST = ['chrt', '-f', '1'] # before all that others run: a CPU that looks for something lets them


def echo(port, times, good):
    with socket.create_connection(('127.0.0.1', port), 60) as c:
        for i in range(times):
            c.sendall(b'%04d' % i)
            if c.recv(4, socket.MSG_WAITALL) != b'%04d' % i:
                raise ConnectionError('no echo')
    good.append(times)


def echoes(port):
    """How many come back to clients at once."""
    good = []
    clients = [threading.Thread(target=echo, args=(port, ECHOES, good)) for _ in range(CLIENTS)]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    return sum(good)


def woken_share(us):
    """What a CPU that is woken every so often takes of the host's, to what the CPU takes that wakes it."""
    with subprocess.Popen([*FIRST, DRUPE, 'run', *ON, '--cpus', '2', '--net', 'none', os.path.join(BUILD, 'wakers'), str(us)], stdout=subprocess.PIPE) as p:
        same(p.stdout.readline(), b'done\n', f'wakes {us} us apart')
        ran = []
        for task in (t for i in processes_of(p) for t in pathlib.Path(f'/proc/{i}/task').iterdir()):
            ran.append(int((task / 'schedstat').read_text().split()[0]))
        p.kill()
    woken, waker = sorted(ran)[-2:]
    return woken / waker


SYSBENCH = shutil.which('sysbench')
for machine, options in MACHINES:
    two = [*options, '--cpus', 2]
    same(drupe(*two, '-e', 'OMP_WAIT_POLICY=passive', os.path.join(BUILD, 'openmp'))[:2],
         (0, b'sum 117959700 threads 2 cpus 2\n'), f'{machine}: OpenMP computes on both CPUs')
    same(drupe(*two, '/usr/bin/nproc')[:2], (0, b'2\n'), f'{machine}: nproc')
    same(drupe(*two, '/usr/bin/cat', '/sys/devices/system/cpu/online')[:2], (0, b'0-1\n'), f'{machine}: /sys/devices/system/cpu/online')
    status, out, err = drupe(*two, '/usr/bin/grep', '-c', '^processor', '/proc/cpuinfo')
    same((status, out), (0, b'2\n'), f'{machine}: /proc/cpuinfo')
    status, out, err = drupe(*two, '/usr/bin/cat', '/proc/lock_stat')
    check(status == 0 and out.startswith(b'lock class '), f'{machine}: /proc/lock_stat', out.decode() + err)
    status, out, err = drupe(*two, '/usr/bin/lscpu')
    fields = dict(re.findall(r'^(\S[^:]*): +(.*)', out.decode(), re.M))
    got = [fields.get(k) for k in ('CPU op-mode(s)', 'CPU(s)', 'On-line CPU(s) list', 'Thread(s) per core', 'Core(s) per socket', 'Socket(s)')]
    same(got, ['32-bit, 64-bit', '2', '0,1', '1', '2', '1'], f'{machine}: lscpu')
    if machine == 'a process': # it is the same processor
        caches = ['/usr/bin/lscpu', '-C=NAME,ONE-SIZE,WAYS,TYPE,LEVEL,SETS,COHERENCY-SIZE']
        same(drupe(*two, *caches)[:2], (0, subprocess.check_output(caches)), f'{machine}: lscpu -C')
    for kind in ('cpu', 'threads'):
        status, out, err = drupe(*two, SYSBENCH, kind, '--threads=4', '--time=2', 'run', timeout=120)
        events = re.search(r'total number of events: +(\d+)', out.decode())
        check(status == 0 and events and int(events.group(1)) > 0, f'{machine}: sysbench {kind}', out.decode() + err)
    port = free_port()
    with server(*two, '-p', f'{port}:7', os.path.join(BUILD, 'wakers'), ready=lambda: echo(port, 1, [])) as p:
        all_well = echoes(port) == CLIENTS * ECHOES and p.poll() is None
        p.kill()
        check(all_well, f'{machine}: the network beside threads that wake each other', p.stdout.read().decode(errors='replace'))
if ON[1:] == ['host'] and subprocess.run([*FIRST, 'true'], stderr=subprocess.DEVNULL).returncode == 0:
    shares = [woken_share(80) for _ in range(3)]
    check(min(shares) < 0.75, 'a CPU that is woken now and then sleeps in between', shares)
done()
