#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signals to an instance from outside, as fast as they can be sent: it goes on, and no deadline of its own is lost; nor is what they tell by one."""
import os
import signal
import struct
import subprocess
import time

from bpfd import SYMBOL, Client
from lib import DRUPE, ON, build_file, check, command, done, own_list, processes_of, same, until


def flood(argv, signals, pause_s=0):
    p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', build_file('kicks'), *argv], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    same(p.stdout.readline(), b'ready\n', 'the program runs')
    instance = processes_of(p)
    check(len(instance) == 1, 'one instance below drupe', instance)
    end = time.monotonic() + 2.5
    sent = 0
    try:
        while time.monotonic() < end:
            for sig in signals:
                os.kill(instance[0], sig)
                sent += 1
                if pause_s:
                    time.sleep(pause_s)
    except ProcessLookupError:
        pass
    out, err = p.communicate(timeout=120)
    same((p.returncode, out), (0, b'many 0 lost\n'), f'{sent} events from outside: no timer, no register is lost')


flood([], (signal.SIGURG, signal.SIGALRM, signal.SIGURG, signal.SIGURG))
# A fault's own signals are not blocked while one is taken: not as fast as can be, or the signal stack overflows.
flood(['gs'], (signal.SIGURG, signal.SIGSEGV, signal.SIGSYS), 0.001)
for sig in (signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP, signal.SIGINT, signal.SIGHUP):
    p = subprocess.Popen([DRUPE, 'run', *ON, '/bin/sh', '-c', 'echo ready; read x; echo $x'], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.readline()
    for c in processes_of(p):
        os.kill(c, sig)
    out, err = p.communicate(b'alive\n', timeout=120)
    same((p.returncode, out), (0, b'alive\n'), f'{sig.name} from outside is ignored')

# Each question comes with a signal, and nothing else makes the instance look: it never idles, and its own timer comes at every moment.
work = own_list('kicks')
status, out, err = command('run', *ON, '-d', '--name', 'kicks', '--net', 'none', build_file('kicks'), 'busy')
check(status == 0 and until(lambda: 'ready' in command('logs', 'kicks')[1]), 'run -d', err)
c = Client(os.environ['DRUPE_RUN'])
answered = 0
try:
    for _ in range(5000):
        c.ask(SYMBOL, struct.pack('<Q', 0) + b'sys_getppid')
        answered += 1
except TimeoutError:
    pass
same(answered, 5000, 'answers, while a program computes under fast ticks')
c.close()
command('rm', '-f', 'kicks')
done()
