#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signals to an instance from outside, as fast as they can be sent: it goes on, and no deadline of its own is lost."""
import os
import signal
import subprocess
import time

from lib import DRUPE, ON, build_file, check, done, same

p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', build_file('kicks')], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE)
same(p.stdout.readline(), b'ready\n', 'the program runs')
children = subprocess.run(['pgrep', '-P', str(p.pid)], capture_output=True, text=True).stdout.split()
instance = [int(c) for c in children if 'drupe-kernel' in open(f'/proc/{c}/comm').read()]
check(len(instance) == 1, 'one instance below drupe', children)
end = time.monotonic() + 2.5
sent = 0
try:
    while time.monotonic() < end:
        for sig in (signal.SIGURG, signal.SIGALRM, signal.SIGURG, signal.SIGURG):
            os.kill(instance[0], sig)
            sent += 1
except ProcessLookupError:
    pass
out, err = p.communicate(timeout=30)
same((p.returncode, out), (0, b'many 0 lost\n'), f'{sent} events from outside: no timer is lost')
for sig in (signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP, signal.SIGINT, signal.SIGHUP):
    p = subprocess.Popen([DRUPE, 'run', *ON, '/bin/sh', '-c', 'echo ready; read x; echo $x'], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.readline()
    children = subprocess.run(['pgrep', '-P', str(p.pid)], capture_output=True, text=True).stdout.split()
    for c in children:
        if 'drupe-kernel' in open(f'/proc/{c}/comm').read():
            os.kill(int(c), sig)
    out, err = p.communicate(b'alive\n', timeout=30)
    same((p.returncode, out), (0, b'alive\n'), f'{sig.name} from outside is ignored')
done()
