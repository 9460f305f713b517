#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The socket through which other commands speak to a running instance: hostile clients, slow clients, many clients; and
a hostile kernel behind it (fake_qemu.py). The instance is unharmed in every case: clients_test.py DRUPE"""
import contextlib
import os
import shutil
import subprocess
import time

from lib import DRUPE, WORK, check, compile_c, done, environment, until, work

import channel # beside beside.py
from channel import CREDIT, DATA, MORE, OPEN, PART_MAX, data, end_of, message, opening, receive

os.makedirs(WORK + '/bin')
shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fake_qemu.py'), WORK + '/bin/qemu-system-x86_64')
RUN = WORK + '/run'
ENV = environment(PATH=WORK + '/bin:' + os.environ['PATH'], DRUPE_KERNEL=work('kernel', b'x'), DRUPE_RUN=RUN)
HELLO = compile_c('hello', 'int main(void){return 0;}')


def start(what):
    p = subprocess.Popen([DRUPE, 'run', '--on', 'qemu', '--name', what.replace(' ', '-'), HELLO, what], env=ENV, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check(p.stdout.readline() == b'ready\n', f'{what}: it runs')
    return p


def connect():
    return channel.connect(RUN)


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def rss_kib(pid):
    with open(f'/proc/{pid}/statm') as f:
        return int(f.read().split()[1]) * 4


@contextlib.contextmanager
def asking(*packets):
    with connect() as s:
        for p in packets:
            s.send(p)
        yield s


def open_channels():
    with asking(opening(b'open')) as s:
        return int(receive(s)[2])


p = start('channels')
before = descriptors(p.pid)
for what, packets in {
        'garbage': [os.urandom(500)],
        'half a header': [b'DRUP\1'],
        'no bytes of a header': [b'\0'],
        'another version': [message(OPEN, version=2)],
        'a length that is not the packet\'s': [message(OPEN, b'x' * 20, length=1 << 30)],
        'a type of nobody': [message(99)],
        'a type of the kernel\'s': [message(CREDIT, b'\0' * 16)],
        'data first': [data(b'x')],
        'a short opening': [message(OPEN, b'\0' * 11)],
        'no name': [opening(b'')],
        'a long name': [opening(b'n' * 32)],
        'a name longer than the packet': [opening(b'stats', name_len=1 << 31)],
        'long arguments': [opening(b'wait', b'a' * 4097)],
        'opened twice': [opening(b'echo'), opening(b'echo')],
        'short data': [opening(b'echo'), message(DATA, b'\0' * 7)],
        'long data': [opening(b'echo'), data(b'x' * (PART_MAX + 1))],
        'unknown flags': [opening(b'echo'), data(b'x', 2)],
        'data for who takes none': [opening(b'wait'), data(b'x')]}.items():
    with asking(*packets) as s:
        error, why = end_of(s)
        check(error not in (None, 0) and why != '', f'{what}: refused with a reason', (error, why))
        check(receive(s)[0] is None, 'and hung up')
with connect() as s: # a gigabyte
    with contextlib.suppress(OSError):
        for _ in range(1 << 14):
            s.send(b'x' * 65536)
    check(True, 'a gigabyte is not taken')
with asking(opening(b'nobody')) as s:
    check(end_of(s) == (2, 'no such service'), 'the kernel\'s refusal arrives')
with asking(opening(b'kill', b'65')) as s:
    check(end_of(s)[0] == 22, 'the tender\'s, too')

parts = [os.urandom(PART_MAX) for _ in range(40)] # ten windows
with asking(opening(b'echo', b'args')) as s:
    got = b''
    for i, part in enumerate(parts):
        s.send(data(part, MORE if i % 2 else 0))
        kind, flags, back = receive(s)
        got += back if kind == DATA and flags == (MORE if i % 2 else 0) else b''
    check(got == b''.join(parts), 'parts arrive whole, in order, beyond the window')
    s.send(channel.closing())
    check(end_of(s) == (0, ''), 'the client may end it')

with asking(opening(b'flood')) as stopped, connect() as silent: # one reads nothing for ten seconds, one says nothing
    time.sleep(1)
    size = rss_kib(p.pid)
    with asking(opening(b'echo'), data(b'still here')) as s:
        check(receive(s)[2] == b'still here', 'while one reads nothing, another is served')
    time.sleep(1)
    check(rss_kib(p.pid) - size < 1024, 'and what waits for it does not grow', (size, rss_kib(p.pid)))
    until(lambda: open_channels() == 0) # from here on it waits for its end to be read, as long again
    error, why = end_of(stopped)
    check(error == 110 and 'nothing was read' in why, 'it is dropped with a reason', (error, why))
    check(end_of(silent)[0] == 110, 'nor does one that says nothing stay')

many = [connect() for _ in range(16)]
for s in many:
    s.send(opening(b'echo'))
check(until(lambda: descriptors(p.pid) == before + 16), 'sixteen clients')
with connect() as s:
    check(end_of(s) == (16, 'too many clients'), 'seventeen are too many')
for s in many:
    s.close()
until(lambda: descriptors(p.pid) == before)
size = rss_kib(p.pid)
for i in range(10000):
    with asking(opening(b'echo' if i % 3 else b'flood')) as s:
        if i % 300 == 1:
            s.send(data(b'x'))
            receive(s)
check(until(lambda: descriptors(p.pid) == before), '10,000 clients leave no descriptors', (before, descriptors(p.pid)))
check(rss_kib(p.pid) - size < 256, 'nor memory', (size, rss_kib(p.pid)))
check(open_channels() == 0, 'nor channels in the instance')
check(p.poll() is None, 'the instance runs on')
mode = os.stat(os.path.join(RUN, [n for n in os.listdir(RUN) if n[0] != '.'][0], 'socket')).st_mode & 0o7777
check(mode == 0o600 and os.stat(RUN).st_mode & 0o7777 == 0o700, 'the socket is the user\'s alone', oct(mode))
with asking(opening(b'kill', b'15')) as s:
    check(end_of(s) == (0, ''), 'a signal is passed on')
check(p.wait(60) == 143, 'and ends the program')
p.communicate()
check([n for n in os.listdir(RUN) if n != '.lock'] == [], 'nothing is left of it')

for what in ('beyond', 'badcredit', 'badpart', 'opens'):
    p = start('hostile ' + what)
    with asking(opening('x'.encode())) as s:
        err = p.communicate(timeout=60)[1].decode()
    check(p.returncode == 125 and 'control port: a channel' in err, f'a kernel that lies ({what}) is ended', (p.returncode, err))
done()
