#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drupe as the tender of an instance, with a stand-in for QEMU or for the kernel of a process: streams, ends, signals,
terminal, no leftovers. The same for both: tender_test.py DRUPE qemu|host FAKE_HOST"""
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

from lib import DRUPE, WORK, check, compile_c, done, environment, free_port, work

os.makedirs(WORK + '/bin')
shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fake_qemu.py'), WORK + '/bin/qemu-system-x86_64')
ON = sys.argv[2]
ENV = environment(PATH=WORK + '/bin:' + os.environ['PATH'], DRUPE_KERNEL=work('kernel', b'x'), DRUPE_HOST_KERNEL=sys.argv[3])
HELLO = compile_c('hello', 'int main(void){return 0;}')
there_before = set(os.listdir('/tmp'))


def start(what, *options, **more):
    return subprocess.Popen([DRUPE, 'run', '--on', ON, *options, HELLO, what], env=ENV, **more)


def run(what, stdin=b'', options=(), timeout=120):
    p = start(what, *options, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = p.communicate(stdin, timeout)
    return p.returncode, out, err.decode()


def children(pid):
    return subprocess.run(['ps', '-o', 'pid=', '--ppid', str(pid)], capture_output=True, text=True).stdout.split()


def gone(pid, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not os.path.exists(f'/proc/{pid}') or open(f'/proc/{pid}/stat').read().split(') ')[1][0] == 'Z':
            return True
        time.sleep(0.02)
    return False


ends = []


def stubborn():
    """Its end by SIGTERM takes its time, however often that comes."""
    p = start('stubborn', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    p.stdout.readline()
    begin = time.monotonic()
    p.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    p.send_signal(signal.SIGTERM)
    ends.append((p.wait(120), time.monotonic() - begin))
    p.stdout.close()


meanwhile = threading.Thread(target=stubborn)
meanwhile.start()
status, out, err = run('exit3')
check((status, out, err) == (3, b'to stdout\0\xff\n', 'to stderr\n'), 'status, stdout and stderr apart', (status, out, err))
p = start('exit3', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
check(p.communicate(timeout=120)[0] == b'to stdout\0\xff\n' and p.returncode == 3, 'started by who ignores SIGCHLD', p.returncode)
status, out, err = run('big')
check(status == 0 and out == b''.join(bytes([i]) * 65536 for i in range(160)), '10 MiB arrive whole', (status, len(out), err))
data = os.urandom(3 << 20)
status, out, err = run('echo', data)
check(status == 0 and out == data, '3 MiB through stdin and stdout', (status, len(out), err))
status, out, err = run('echo')
check(status == 0 and out == b'', 'empty input ends at once', (status, err))
with open('/dev/null') as null:
    p = start('echo', stdin=null, stdout=subprocess.PIPE)
    check(p.communicate(timeout=120)[0] == b'' and p.returncode == 0, '/dev/null as input')
with open(work('in', b'from a file')) as f, open(work('out'), 'wb') as o:
    p = start('echo', stdin=f, stdout=o)
    check(p.wait(120) == 0 and open(WORK + '/out', 'rb').read() == b'from a file', 'files as input and output')

status, out, err = run('segv')
check(status == 139 and 'main+4' in err and 'SIGSEGV' in err and '\x1b' not in err, 'a crash: report, signal, 128+n', err)
offset = next(int(l.split()[0], 16) for l in subprocess.run(['nm', HELLO], capture_output=True, text=True).stdout.splitlines()
              if l.endswith(' T main'))
status, out, err = run(f'at 0x7f00  {HELLO}+0x{offset + 3:x}\n/x+0x1\nat 0x1  {HELLO}+0xffffffffffffffff\nat 0x2  /none+0x1\n')
check(f'{HELLO}+0x{offset + 3:x} (main+0x3)\n' in err and err.count('(') == 2, 'places in a report get their functions\' names', err)
p = start('big', stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
check(p.communicate(timeout=120)[1] == b'' and p.returncode == 0, 'output for a closed descriptor goes nowhere', p.returncode)
with open('/dev/full', 'wb') as full:
    p = start('exit3', stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE)
    err = p.communicate(timeout=120)[1].decode()
check(p.returncode == 3 and 'standard output: No space left on device' in err, 'a full disk is named', (p.returncode, err))
status, out, err = run('noexec')
check(status == 127 and 'No such file' in err, 'not started: 127 and why', (status, err))
status, out, err = run('panic')
check(status == 125 and 'sky fell' in err and 'kernel gave up' in err, 'a panic: 125', (status, err))
for what, options in (('silent', ()), ('nothing', ()), ('silent', ('-V',))):
    status, out, err = run(what, options=options)
    check(status == 125 and 'last line of the console' in err and 'died without a word' in err, f'{what}: 125 and the console',
          (status, err))
    check('\x1b' not in err and '\x9b' not in err and 'first line ?[31mof' in err, 'which writes no escapes to our terminal', err)
if ON == 'qemu':
    status, out, err = run('abort')
    check(status == 125 and 'something terrible' in err and 'signal 6' in err, 'QEMU\'s own end: 125, its words', (status, err))
for what, words in (('badmagic', 'magic'), ('toolong', 'too long'), ('garbage', 'magic')):
    status, out, err = run(what, timeout=25)
    check(status == 125 and words in err, f'{what}: a broken conversation ends the instance', (status, err))
begin = time.monotonic()
status, out, err = run('lingers')
check(status == 4 and 1.5 < time.monotonic() - begin < 60, 'an instance that stays after its last word is killed', (status, err))
status, out, err = run('log')
check(status == 0 and err == 'drupe: system call 999 is missing\n', 'notices are shown, unknown messages skipped', (status, err))

for number in (signal.SIGINT, signal.SIGTERM):
    p = start('signal', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.readline()
    p.send_signal(number)
    check(p.wait(60) == 128 + number, f'{number.name} reaches the program')
    p.communicate()
p = start('stubborn', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
p.stdout.readline()
instance = children(p.pid)
p.send_signal(signal.SIGINT)
time.sleep(0.3)
check(p.poll() is None, 'the first ^C is the program\'s')
p.send_signal(signal.SIGINT)
check(p.wait(60) == 137 and all(gone(c) for c in instance), 'the second ends the instance: 137')
p.communicate()
p = start('stubborn', '-p', f'127.0.0.1:{free_port()}:80', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
p.stdout.readline()
both = children(p.pid)
check(len(both) == 2, 'with a published port: the instance and drupe-slirp', both)
p.kill()
check(p.wait() == -9 and all(gone(c) for c in both), 'nothing outlives a killed drupe', both)
p.communicate()

p = start('endless', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
p.stdout.read(10)
p.stdout.close()
check(p.wait(60) == 128 + signal.SIGPIPE, 'a reader that goes away is seen by the program')
p = start('closes', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
begin = time.monotonic()
text = p.stdout.read()
check(text == b'all\n' and time.monotonic() - begin < 25, 'a stream that the program closes ends while it runs on')
p.kill()
p.wait()

# A slow reader: everything arrives, and signals still work meanwhile.
p = start('big', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
time.sleep(0.5)
size = 0
while chunk := p.stdout.read(300000):
    size += len(chunk)
    time.sleep(0.005)
check(size == 160 * 65536 and p.wait(60) == 0, 'a slow reader gets every byte', size)
p = start('endless', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
time.sleep(0.5)
p.send_signal(signal.SIGINT)
p.send_signal(signal.SIGINT)
time.sleep(0.1)
p.send_signal(signal.SIGINT)
p.stdout.close()
check(p.wait(60) is not None, 'a full pipe does not hold up ^C')

# A terminal: raw while it runs, the size and its changes, restored at the end.
main, sub = pty.openpty()
fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 99, 0, 0))
before = termios.tcgetattr(sub)


def child():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


p = start('tty', '-it', stdin=sub, stdout=sub, stderr=sub, preexec_fn=child)
seen = b''


def wait_for(text):
    global seen
    end = time.monotonic() + 60
    while text not in seen and time.monotonic() < end:
        if select.select([main], [], [], 0.1)[0]:
            seen += os.read(main, 4096)
    return text in seen


check(wait_for(b'size 33x99'), '-t: the window\'s size', seen)
check(not termios.tcgetattr(sub)[3] & termios.ICANON, '-t: the terminal is raw')
fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 120, 0, 0))
check(wait_for(b'size 40x120'), '-t: a change of it', seen)
os.write(main, b'\x03')
check(wait_for(b'got 3'), '-t: ^C is a byte for the program', seen)
check(p.wait(60) == 5 and termios.tcgetattr(sub) == before, '-t: restored at the end')
os.close(main)
os.close(sub)
meanwhile.join()
check(ends[0][0] == 137 and 9.5 < ends[0][1] < 60, 'SIGTERM, then a kill after 10 seconds', ends)
left = sorted(f for f in os.listdir('/tmp') if re.match(r'drupe-(?!test-|cache-|\d+$)', f) and f not in there_before)
check(not left, 'no files left in /tmp', left)
done()
