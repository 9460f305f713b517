#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A host that gives less than was asked for, or takes it away: limits, a full disk, no memory, a stopped process, a TAP that goes. The
program runs, or a message says what was missing; nothing stays behind."""
import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import time

from lib import BUILD, DRUPE, ON, check, done, same

HELLO = BUILD + '/hello'
TOUCH = 'x = bytearray(300 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint("touched")'


def run(*args, before=None, prefix=(), env=None):
    r = subprocess.run([*prefix, DRUPE, 'run', *ON, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                       preexec_fn=before, env=env)
    return r.returncode, r.stdout, r.stderr


def limit(what, soft):
    return lambda: resource.setrlimit(what, (soft, soft))


def children(pid):
    return [int(p) for p in subprocess.run(['ps', '-o', 'pid=', '--ppid', str(pid)], capture_output=True, text=True).stdout.split()]


same(run(HELLO, prefix=['setarch', '-R']), (0, 'hello, world\n', ''), 'without address randomization')
same(run(HELLO, before=limit(resource.RLIMIT_STACK, resource.RLIM_INFINITY)), (0, 'hello, world\n', ''), 'with a stack without limit')
same(run('/usr/bin/python3', '-c', TOUCH, before=limit(resource.RLIMIT_AS, 720 << 20)), (0, 'touched\n', ''),
     'with little address space beside -m')
for what, soft, text in ((resource.RLIMIT_AS, 100 << 20, 'ulimit -v'), (resource.RLIMIT_FSIZE, 1 << 20, 'ulimit -f'),
                         (resource.RLIMIT_NOFILE, 10, 'Too many open files')):
    status, _, err = run(HELLO, before=limit(what, soft))
    check(status == 125 and text in err, f'a limit too low is named: {text}', (status, err))


@contextlib.contextmanager
def memory_group(limit_bytes):
    """A cgroup of this size, or None."""
    with open('/proc/self/cgroup') as f:
        paths = {line.split(':')[1]: line.strip().split(':', 2)[2] for line in f}
    old = 'memory' in paths
    group = ('/sys/fs/cgroup/memory' + paths['memory'] if old else '/sys/fs/cgroup' + paths.get('', '/')) + f'/drupe-limits-test-{os.getpid()}'
    try:
        os.mkdir(group)
    except OSError:
        yield None
        return
    try:
        with open(f'{group}/memory.{"limit_in_bytes" if old else "max"}', 'w') as f:
            f.write(str(limit_bytes))
        yield group
    except OSError:
        yield None
    finally:
        os.rmdir(group)


with memory_group(64 << 20) as group:
    if group is None:
        check(True, 'no memory cgroup can be made here # SKIP')
    else:
        status, out, err = run('/usr/bin/python3', '-c', TOUCH, prefix=['sh', '-c', f'echo $$ > {group}/cgroup.procs; exec "$@"', 'sh'])
        check(status == 125 and out == '' and 'memory limit' in err, 'the memory limit of the cgroup ends it, and the message says so',
              (status, out, err))

with tempfile.TemporaryDirectory() as tmp:
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m,mode=700', 'none', tmp], capture_output=True).returncode != 0:
        check(True, 'no file system can be mounted here # SKIP')
    else:
        status, _, err = run(HELLO, env=dict(os.environ, DRUPE_CACHE=tmp))
        check(status == 125 and 'No space left on device' in err and tmp in err, 'a full disk under the image cache', (status, err))
        check(all(name.startswith('lock') for name in os.listdir(tmp)), 'leaves nothing half made', os.listdir(tmp))
        subprocess.run(['umount', tmp], check=True)

LOOP = '''import time
last = time.monotonic()
for i in range(12):
    time.sleep(0.1)
    now = time.monotonic()
    if now - last > 2: print("stopped", flush=True)
    if i == 0: print("begins", flush=True)
    last = now
print("ends", flush=True)'''
for who in ('drupe', 'the instance', 'both'):
    p = subprocess.Popen([DRUPE, 'run', *ON, '/usr/bin/python3', '-c', LOOP], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    first = p.stdout.readline()
    pids = {'drupe': [p.pid], 'the instance': children(p.pid), 'both': [p.pid, *children(p.pid)]}[who]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2.5)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    rest = p.communicate(timeout=120)[0]
    same((first, rest, p.returncode), ('begins\n', 'ends\n' if who == 'drupe' else 'stopped\nends\n', 0), f'{who}: stopped and continued')

SEND = '''import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("begins", flush=True)
for i in range(20):
    try: s.sendto(b"x", ("192.0.2.1", 9))
    except OSError: pass
    time.sleep(0.1)
print("ends", flush=True)'''
TAP = '''ip tuntap add dev drupe-t0 mode tap && ip addr add 192.0.2.1/24 dev drupe-t0 && ip link set drupe-t0 up || exit 77
"$@" | { read line; ip link del drupe-t0; echo "$line"; cat; }'''
r = subprocess.run(['unshare', '-n', 'sh', '-c', TAP, 'sh', DRUPE, 'run', *ON, '--net', 'tap:drupe-t0', '--ip', '192.0.2.2/24', '/usr/bin/python3',
                    '-c', SEND], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200)
if r.returncode in (1, 77) and 'begins' not in r.stdout:
    check(True, 'no TAP can be made here # SKIP')
else:
    check(r.stdout == 'begins\nends\n', 'a TAP that is deleted leaves the program running', r.stdout + r.stderr)
done()
