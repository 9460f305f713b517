#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instances that live without a terminal: run -d, ps, logs, inspect, stop, kill, wait, rm; stale entries, two commands at
once, kills in the middle. With a stand-in for QEMU or for the kernel of a process: instances_test.py DRUPE qemu|host FAKE_HOST"""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

from lib import DRUPE, WORK, check, compile_c, done, environment, free_port, work

os.makedirs(WORK + '/bin')
shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fake_qemu.py'), WORK + '/bin/qemu-system-x86_64')
ON = sys.argv[2]
PORT = free_port()
RUN = WORK + '/run'
ENV = environment(PATH=WORK + '/bin:' + os.environ['PATH'], DRUPE_KERNEL=work('kernel', b'x'), DRUPE_HOST_KERNEL=sys.argv[3], DRUPE_RUN=RUN)
HELLO = compile_c('hello', 'int main(void){return 0;}')


def drupe(*args, timeout=120):
    r = subprocess.run([DRUPE, *args], env=ENV, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    return r.returncode, r.stdout.decode(errors='replace'), r.stderr.decode(errors='replace')


def detached(what, *options):
    return drupe('run', '-d', '--on', ON, *options, HELLO, what)


def listed(*options):
    return [json.loads(l) for l in drupe('ps', '--format', 'json', *options)[1].splitlines()]


def inspect(name):
    return json.loads(drupe('inspect', name)[1])[0]


def gone(pid, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not os.path.exists(f'/proc/{pid}') or open(f'/proc/{pid}/stat').read().split(') ')[1][0] == 'Z':
            return True
        time.sleep(0.02)
    return False


status, out, err = detached('signal', '--name', 'web', '-p', f'127.0.0.1:{PORT}:80')
check(status == 0 and len(out.strip()) == 64 and err == '', 'run -d prints the id', (status, out, err))
ident = out.strip()
rows = listed()
check([(r['ID'], r['Names'], r['State'], r['Ports']) for r in rows] == [(ident, 'web', 'running', f'127.0.0.1:{PORT}->80/tcp')],
      'ps lists it', rows)
check('web' in drupe('ps')[1] and 'Up since' in drupe('ps')[1], 'for people, too')
for words in (('ps',), ('inspect', 'web'), ('--help',)):
    with open('/dev/full', 'w') as full:
        p = subprocess.run([DRUPE, *words], env=ENV, stdout=full, stderr=subprocess.PIPE)
    check(p.returncode == 125 and b'standard output' in p.stderr, f'{words[0]}: a full disk is named', (p.returncode, p.stderr))
info = inspect(ident[:10])
check(info['Name'] == 'web' and info['Platform'] == ON and info['Config']['process']['args'][-1] == 'signal' and info['Pid'] > 1 and
      os.path.exists(f'/proc/{info["InstancePid"]}'), 'inspect by a part of the id', info)
status, out, err = detached('signal', '--name', 'web')
check(status == 125 and 'has that name' in err, 'a name is given once', (status, err))
check(drupe('rm', 'web')[0] == 1, 'rm of a running one is refused')
for words in (('inspect', 'nobody'), ('stop', 'nobody'), ('rm', 'nobody'), ('logs', 'nobody'), ('wait', 'nobody')):
    status, out, err = drupe(*words)
    check(status == 1 and 'no such instance: nobody' in err, f'{words[0]}: nobody', (status, err))
waiter = subprocess.Popen([DRUPE, 'wait', 'web'], env=ENV, stdout=subprocess.PIPE)
follower = subprocess.Popen([DRUPE, 'logs', '-f', 'web'], env=ENV, stdout=subprocess.PIPE)
check(follower.stdout.readline() == b'ready\n', 'logs -f shows what was written')
time.sleep(0.3)
check(waiter.poll() is None, 'wait waits')
check(drupe('kill', '-s', 'usr1', 'web')[:2] == (0, 'web\n'), 'kill sends a signal')
check(waiter.wait(60) == 0 and waiter.stdout.read() == b'138\n', 'wait prints the status')
check(follower.wait(60) == 0, 'logs -f ends with it')
info = inspect('web')
check((info['State'], info['ExitCode'], info['Error']) == ('exited', 138, ''), 'it has exited', info)
check(listed() == [] and [r['State'] for r in listed('-a')] == ['exited'], 'ps -a lists the ended')
check(drupe('wait', 'web')[1] == '138\n' and drupe('logs', 'web')[1] == 'ready\n', 'status and logs stay')
check(drupe('kill', 'web')[0] == 1 and drupe('stop', 'web')[:2] == (0, 'web\n'), 'kill of an ended one is refused, stop is not')
check(drupe('rm', 'web')[:2] == (0, 'web\n') and listed('-a') == [], 'rm forgets it')

status, out, err = detached('noexec')
check(ON == 'host' or status == 127 and 'No such file' in err and out == '', 'a start that fails: its message and status', (status, out, err))
status, out, err = detached('silent')
check(status == 125 and 'died without a word' in err, 'a kernel that does not start: 125', (status, err))
check(detached('x', '-t')[0] == 125 and drupe('run', '--restart', 'always', HELLO)[0] == 125 and
      drupe('run', '--log-driver', 'fluentd', HELLO)[0] == 125, 'what is not there is refused')
for r in listed('-a'):
    drupe('rm', r['ID'])

detached('stubborn', '--name', 'stubborn', '--rm')
pid = inspect('stubborn')['Pid']
begin = time.monotonic()
status, out, err = drupe('stop', '-t', '1', 'stubborn')
check(status == 0 and 0.9 < time.monotonic() - begin < 60, 'stop -t 1 kills after a second', (status, err))
check(gone(pid) and listed('-a') == [], '--rm: nothing is left')

status, out, err = detached('exit3', '--name', 'three')
check(drupe('wait', 'three')[1] == '3\n', 'an instance that ends at once')
status, out, err = drupe('logs', 'three')
check(out == 'to stdout\0\ufffd\n' and err == 'to stderr\n', 'streams are kept apart', (out, err))
lines = [json.loads(l) for l in open(os.path.join(inspect('three')['Dir'], 'log.json'))]
check({l['stream'] for l in lines} == {'stdout', 'stderr'} and all(l['time'].endswith('Z') for l in lines), 'in Docker\'s json-file', lines)
check(drupe('logs', '-t', 'three')[1][:4].isdigit() and drupe('logs', '-n', '0', 'three')[1:] == ('', ''), 'logs -t, -n')
drupe('rm', 'three')

detached('lines', '--name', 'rot', '--log-opt', 'max-size=64k', '--log-opt', 'max-file=3')
check(drupe('wait', 'rot')[1] == '0\n', 'many lines')
sizes = {f: os.stat(os.path.join(inspect('rot')['Dir'], f)).st_size for f in os.listdir(inspect('rot')['Dir']) if f.startswith('log')}
check(sorted(sizes) == ['log.json', 'log.json.1', 'log.json.2'] and max(sizes.values()) <= 65536, 'are rotated', sizes)
last = drupe('logs', 'rot')[1].splitlines()
check(last[-1] == 'line 4999' and last == [f'line {i}' for i in range(5000 - len(last), 5000)], 'the newest stay, whole and in order', last[-3:])
check(drupe('logs', '-n', '2', 'rot')[1] == 'line 4998\nline 4999\n', 'logs -n 2')
drupe('rm', 'rot')

detached('stubborn', '--name', 'dead')
info = inspect('dead')
os.kill(info['Pid'], signal.SIGKILL)
check(gone(info['Pid']) and gone(info['InstancePid']), 'the instance ends with its tender')
check([r['State'] for r in listed('-a')] == ['stale'] and listed() == [], 'what is left is stale')
check(all(drupe(c, 'dead')[0] == 1 for c in ('kill', 'stop', 'wait', 'stats')), 'and told so')
status, out, err = detached('signal', '--name', 'dead')
check(status == 0 and len(listed('-a')) == 1, 'its name is free', (err, listed('-a')))
os.kill(inspect('dead')['Pid'], signal.SIGSTOP)
check(drupe('rm', '-f', 'dead', timeout=120)[0] in (0, 1), 'rm -f of one that does not answer')
for r in listed('-a'):
    drupe('rm', '-f', r['ID'])

p = subprocess.Popen([DRUPE, 'run', '--on', ON, '--name', 'fore', HELLO, 'signal'], env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
p.stdout.readline()
check([r['Names'] for r in listed()] == ['fore'], 'a foreground run is listed')
check(drupe('logs', 'fore')[0] == 1, 'its output is where it was started')
check(drupe('stop', 'fore')[0] == 0 and p.wait(60) == 143 and listed('-a') == [], 'and can be stopped')
p = subprocess.Popen([DRUPE, 'run', '--on', ON, HELLO, 'signal'], env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
p.stdout.readline()
p.kill()
p.wait()
check([r['State'] for r in listed('-a')] == ['stale'] and listed('-a') == [], 'a killed one is shown once and cleaned')

results = []
threads = [threading.Thread(target=lambda: results.append(detached('signal', '--name', 'one')[0])) for _ in range(6)]
for t in threads:
    t.start()
for t in threads:
    t.join()
check(sorted(results) == [0] + 5 * [125] and len(listed('-a')) == 1, 'six at once: one gets the name', results)
drupe('rm', '-f', 'one')
for i in range(10): # killed anywhere in the start
    p = subprocess.Popen([DRUPE, 'run', '--on', ON, '--name', 'half', HELLO, 'signal'], env=ENV, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.01 * i)
    p.kill()
    p.wait()
listed('-a')
check(sorted(os.listdir(RUN)) == ['.lock'], 'ten kills in the middle of a start leave nothing', os.listdir(RUN))

os.chmod(RUN, 0o755)
status, out, err = drupe('ps')
check(status == 125 and 'open to others' in err, 'a directory that others may enter is refused', err)
os.rename(RUN, RUN + '2')
os.symlink(RUN + '2', RUN)
check(drupe('ps')[0] == 125, 'and one that is a symbolic link')
check([drupe('run', '--on', ON, *o, HELLO, 'exit3')[0] for o in ([], ['--strace'])] == [3, 125], 'without a list a program runs, but nobody looks into it')
done()
