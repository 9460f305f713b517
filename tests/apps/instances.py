#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A detached redis: logs, counters by name and unit, Prometheus' own check of them, clients that come and go, stop."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import urllib.request

from lib import DRUPE, ON, build_file, calls, check, command, counters, done, free_port, own_list, redis, same, talk, until

work = own_list('instances')


web, udp = free_port(), free_port()
port = redis('r', '-p', f'127.0.0.1:{udp}:9/udp')
before = counters('r')
for _ in range(50):
    talk(port, b'PING\r\n')
after = counters('r')
grown = {k: after[k] - before.get(k, 0) for k in after}
check(grown['syscalls_total', 'write'] >= 50 and any(k[1] in ('accept', 'accept4') and grown[k] >= 50 for k in grown if k[0] == 'syscalls_total'),
      'system calls are counted by name', grown)
check(all(v >= 0 for k, v in grown.items() if k[0].endswith('_total')), 'no counter goes back', {k: v for k, v in grown.items() if v < 0})
check(grown['network_receive_packets_total', 'eth0'] >= 100 and after['tcp_connections', 'listen'] >= 1, 'packets and connections', grown)
uses = sum(v for k, v in after.items() if k[0] == 'memory_bytes')
check(0.9 < uses / after['memory_total_bytes',] <= 1.01, 'memory by use adds up', uses)

check(not any('duration' in k[0] or 'latency' in k[0] for k in after), 'no histograms unless asked for')
same(command('stats', '--latency', 'on', 'r')[0], 0, 'stats --latency on')
for _ in range(50):
    talk(port, b'PING\r\n')
with contextlib.suppress(OSError):
    socket.create_connection(('127.0.0.1', port), 5).close() # the last call may not have returned
timed = counters('r')
writes = {k[1]: v for k, v in timed.items() if k[0] == 'syscall_duration_seconds_bucket' and k[2] == 'write'}
in_order = [writes[k] for k in sorted(writes, key=lambda le: float(le.replace('+Inf', 'inf')))]
check(len(writes) == 13 and in_order == sorted(in_order) and 50 <= in_order[-1] == timed['syscall_duration_seconds_count', 'write'], 'a histogram of write', writes)
check(0 < timed['syscall_duration_seconds_sum', 'write'] / in_order[-1] < 0.1 and timed['syscall_duration_seconds_sum', 'epoll_wait'] > timed['syscall_duration_seconds_sum', 'write'],
      'its sum; waiting counts', timed)
check(timed['scheduler_latency_seconds_count',] >= 10 and timed['scheduler_latency_seconds_sum',] > 0, 'and of waits for a CPU', timed)
check(timed['host_cpu_seconds_total', 'network'] >= 0 and timed['host_resident_memory_bytes', 'tender'] > 0, "the monitor's own costs", timed)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: # nobody has that port
    s.sendto(b'x', ('127.0.0.1', udp))
check(until(lambda: counters('r').get(('network_drops_total', 'eth0', 'udp_no_port'), 0) >= 1), 'a drop by interface and reason',
      {k: v for k, v in counters('r').items() if 'drop' in k[0]})

server = subprocess.Popen([DRUPE, 'stats', '--prometheus', f'127.0.0.1:{web}'])
text = until(lambda: urllib.request.urlopen(f'http://127.0.0.1:{web}/metrics', timeout=60).read()) or b''
server.terminate()
server.wait()
check(b'drupe_up{name="r"} 1\n' in text and b'drupe_syscalls_total{name="r",call="write"}' in text, 'served to Prometheus', text[:500])
r = subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True)
check(r.returncode == 0 and r.stdout + r.stderr == b'', 'promtool finds nothing to say', r.stdout + r.stderr)
with open(os.path.join(os.path.dirname(__file__), '..', '..', 'docs', 'grafana-dashboard.json')) as f:
    exprs = [t['expr'] for p in json.load(f)['panels'] for t in p['targets']]
unknown = [m for e in exprs for m in re.findall(r'drupe_\w+', e) if m.encode() not in text]
check(len(exprs) > 10 and not unknown, "the dashboard's metrics are there", unknown)

same([command('stats', '--latency', 'off', 'r')[0], command('stats', '--latency', 'x', 'r')[0], command('stats', '--latency', 'on')[0]], [0, 125, 125], '--latency off')
check(not any('latency' in k[0] for k in counters('r')), 'and they are gone')

command('run', *ON, '-d', '--name', 'n', build_file('naps'))
said = until(lambda: command('logs', 'n')[1].strip())
faults = counters('n')['page_faults_total',]
check(50 < int(said) <= faults + 4 and faults < int(said) * 1.3, 'a page fault counts once', (said, faults)) # exec fills the new stack without an exception
command('rm', '-f', 'n')

def sleeps(text):
    return any('epoll_wait' in l and l.endswith('redis-server') for l in text.splitlines())


for _ in range(500): # it wakes ten times a second
    status, out, err = command('ps', 'r')
    if sleeps(out):
        break
rows = [l.split(None, 9) for l in out.splitlines()]
check(status == 0 and rows[0][:3] == ['PID', 'TID', 'PPID'] and ['1', '1', '0'] in [r[:3] for r in rows], 'ps r: its threads', (out, err))
check(sleeps(out), 'the call that a thread sleeps in', out)
pinger = subprocess.Popen(['redis-benchmark', '-p', str(port), '-t', 'ping_mbulk', '-n', '100000000', '-q'], stdout=subprocess.DEVNULL)
idle = calls('r', 'write')
until(lambda: calls('r', 'write') > idle + 1000)
status, out, err = command('top', '-b', '-d', '0.5', '-n', '3', 'r')
pinger.terminate()
pinger.wait()
rounds = out.split('r: ')[1:]
first = rounds[-1].splitlines()[3].split()
check(status == 0 and len(rounds) == 3 and rounds[0].startswith('1 processes, '), 'top -n 3', (status, out, err))
check(first[:2] == ['1', '1'] and float(first[5]) > 1 and float(first[8]) > 100, 'the busiest thread is first, with CPU and calls', rounds[-1])
check(command('top', '-n', '1', 'nobody')[0] == 1 and command('top', '-d', '0', 'r')[0] == 125 and command('top')[0] == 125, 'top refuses what is none')

held = []
for n in (30, 300): # the first ones make what stays
    for _ in range(n):
        command('stats', '--format', 'json', 'r')
    later = counters('r')
    held.append(later['memory_bytes', 'kernel'] + later['memory_bytes', 'slab'])
grown = held[1] - held[0]
check(grown < 128 << 10, '300 clients leave nothing in the kernel', grown)
instance = json.loads(command('inspect', 'r')[1])[0]['InstancePid']
os.kill(instance, signal.SIGSTOP)
silent = [subprocess.Popen([DRUPE, *c, 'r'], stderr=subprocess.PIPE, text=True) for c in (['stats'], ['top', '-b', '-n', '1'], ['strace'])]
same([p.communicate()[1] for p in silent], ['drupe: the instance does not answer\n'] * 3, 'who is not answered in time says so')
os.kill(instance, signal.SIGCONT)
check('Ready to accept connections' in command('logs', 'r')[1], 'logs')
same(command('stop', 'r')[:2], (0, 'r\n'), 'stop')
same(command('wait', 'r')[1], '0\n', 'redis ended by itself')
same(command('rm', 'r')[0], 0, 'rm')
done()
