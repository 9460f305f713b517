#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server of a volume by virtqueues, against a guest that lies: vhost_test.py DRUPE (drupe-9p lies beside it)."""
import array
import contextlib
import errno
import fcntl
import mmap
import os
import random
import select
import shutil
import signal
import socket
import struct
import subprocess

from lib import DRUPE, check, done, work

SERVER = os.path.join(os.path.dirname(os.path.realpath(DRUPE)), 'drupe-9p')
SRC = os.path.join(os.path.dirname(work('secret', b'secret\n')), 'src')
os.makedirs(SRC)
with open(SRC + '/file', 'w') as f:
    f.write('text\n')
MEMORY, USER = 1 << 20, 0x7f0000000000
SIZE = 8
DESC, AVAIL, USED, OUT, IN = 0, 0x1000, 0x2000, 0x10000, 0x20000
NEXT, WRITE = 1, 2
F_EVENT_IDX, F_PROTOCOL, F_VERSION_1 = 1 << 29, 1 << 30, 1 << 32


class Machine:
    """QEMU and the guest: memory at guest address 0, one queue."""

    def __init__(self, event_idx=True, entries=SIZE):
        self.entries = entries
        self.socket, theirs = socket.socketpair()
        self.port, other = socket.socketpair()
        self.socket.settimeout(120)
        root = os.open(SRC, os.O_PATH)
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (other.fileno(), root, theirs.fileno())]
        self.process = subprocess.Popen(['bash', '-c', 'exec 3<&{} 4<&{} 5<&{}; exec "$0" rw vhost'.format(*fds), SERVER], pass_fds=fds)
        theirs.close()
        other.close()
        for fd in (*fds, root):
            os.close(fd)
        self.memfd = os.memfd_create('guest')
        os.ftruncate(self.memfd, MEMORY)
        self.memory = mmap.mmap(self.memfd, MEMORY)
        self.kick, self.irq = os.eventfd(0), os.eventfd(0)
        self.event_idx, self.posted, self.taken, self.heard = event_idx, 0, 0, 0

    def say(self, request, payload=b'', fds=()):
        data = struct.pack('<III', request, 1, len(payload)) + payload
        self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else [])

    def ask(self, request, payload=b''):
        self.say(request, payload)
        _, _, size = struct.unpack('<III', self.socket.recv(12, socket.MSG_WAITALL))
        return self.socket.recv(size, socket.MSG_WAITALL)

    def start(self, size=None, desc=DESC, avail=AVAIL, used=USED, memory=MEMORY):
        features = struct.unpack('<Q', self.ask(1))[0]
        self.say(3)
        self.say(2, struct.pack('<Q', F_VERSION_1 | F_PROTOCOL | (F_EVENT_IDX if self.event_idx else 0)))
        self.say(5, struct.pack('<IIQQQQ', 1, 0, 0, memory, USER, 0), [self.memfd])
        self.say(8, struct.pack('<II', 1, self.entries if size is None else size))
        self.say(10, struct.pack('<II', 1, 0))
        self.say(9, struct.pack('<IIQQQQ', 1, 0, USER + desc, USER + used, USER + avail, 0))
        self.say(13, struct.pack('<Q', 1), [self.irq])
        self.say(12, struct.pack('<Q', 1), [self.kick])
        self.say(18, struct.pack('<II', 1, 1))
        return features

    def describe(self, index, address, length, flags=0, following=0):
        struct.pack_into('<QIHH', self.memory, DESC + 16 * index, address, length, flags, following)

    def post(self, head=0, times=1):
        for _ in range(times):
            struct.pack_into('<H', self.memory, AVAIL + 4 + 2 * (self.posted % self.entries), head)
            self.posted += 1
        struct.pack_into('<H', self.memory, AVAIL + 4 + 2 * self.entries, self.posted - 1)
        struct.pack_into('<H', self.memory, AVAIL + 2, self.posted & 0xffff)
        os.eventfd_write(self.kick, 1)

    def message(self, kind, body, room=4096):
        data = struct.pack('<IBH', 7 + len(body), kind, 5) + body
        self.memory[OUT:OUT + len(data)] = data
        self.describe(0, OUT, 5, NEXT, 3)  # in pieces
        self.describe(3, OUT + 5, len(data) - 5, NEXT, 1)
        self.describe(1, IN, 3, NEXT | WRITE, 2)
        self.describe(2, IN + 3, room - 3, WRITE)

    def reply(self):
        """The reply that comes, or None when the server ends."""
        while struct.unpack_from('<H', self.memory, USED + 2)[0] == self.taken & 0xffff:
            ready = select.select([self.irq, self.socket], [], [], 120)[0]
            if not ready:
                raise TimeoutError('no reply')
            if self.socket in ready:
                return None
            self.heard += os.eventfd_read(self.irq)
        _, length = struct.unpack_from('<II', self.memory, USED + 4 + 8 * (self.taken % self.entries))
        self.taken += 1
        data = self.memory[IN:IN + length]
        return data if length == struct.unpack('<I', data[:4])[0] else b'length'

    def call(self, kind, body, room=4096):
        self.message(kind, body, room)
        self.post()
        data = self.reply()
        if data is None or len(data) < 7:
            return data
        return errno.errorcode.get(struct.unpack('<I', data[7:])[0]) if data[4] == 7 else data[7:]

    def begin(self):
        self.start()
        self.call(100, struct.pack('<IH', 65536, 14) + b'9P2000.L.drupe')
        return self.call(104, struct.pack('<IIHHI', 0, 0xffffffff, 0, 0, 0))

    def end(self):
        self.socket.close()
        self.port.close()
        return self.process.wait(120)


for event_idx in (True, False):
    m = Machine(event_idx)
    check(len(m.begin()) == 13, f'attach, event_idx {event_idx}')
    m.call(110, struct.pack('<IIHH', 0, 1, 1, 4) + b'file')
    m.call(12, struct.pack('<II', 1, 2))
    check(m.call(116, struct.pack('<IQI', 1, 0, 100)) == struct.pack('<I', 5) + b'text\n', 'a file is read')
    check(m.call(118, struct.pack('<IQI', 1, 5, 4) + b'more') == struct.pack('<I', 4), 'and written')
    check(m.call(116, struct.pack('<IQI', 1, 0, 100), 15) == 'EMSGSIZE', 'a reply that has no room')
    check(all(m.call(116, struct.pack('<IQI', 1, 0, 100))[4:] == b'text\nmore' for _ in range(50)), 'the ring goes round')
    os.truncate(SRC + '/file', 5)
    check(struct.unpack('<II', m.ask(11, struct.pack('<II', 1, 0)))[1] == m.posted, 'stopped where it was')
    check(m.end() == 0, 'it ends with its machine')

m = Machine()
m.begin()
m.port.close()
check(m.process.wait(120) == 0, 'and with its instance')
m.socket.close()


# All that a queue can hold at once, and behind it a word of the monitor: that has its turn, and the guest hears of every answer.
m = Machine(False, 256)
m.begin()
m.message(116, struct.pack('<IQI', 0, 0, 100))
m.process.send_signal(signal.SIGSTOP)
m.post(times=256)
m.say(11, struct.pack('<II', 1, 0))
before = m.posted - 256
m.process.send_signal(signal.SIGCONT)
struct.unpack('<III', m.socket.recv(12, socket.MSG_WAITALL))
answered = struct.unpack('<II', m.socket.recv(8, socket.MSG_WAITALL))[1] - before
check(0 < answered < 256, f'a monitor is heard while requests wait: {answered} of 256 were answered')
m.heard += os.eventfd_read(m.irq)
check(m.heard == m.taken + answered, 'an interrupt for each', (m.heard, m.taken))
check(m.end() == 0, 'it ends with its machine')


def lie(text, change, begin=True, **how):
    """A server that was lied to ends: its guest has broken the rules."""
    liar = Machine()
    with contextlib.suppress(ConnectionError):
        liar.begin() if begin else liar.start(**how)
    change(liar)
    check(liar.process.wait(120) == 1, text)
    liar.end()


def chain(*descs):
    def change(liar):
        liar.message(116, struct.pack('<IQI', 1, 0, 100))
        for d in descs:
            liar.describe(*d)
        liar.post()
    return change


lie('a chain that is a circle', chain((0, OUT, 23, NEXT, 0)))
lie('memory that is not there', chain((0, MEMORY, 23, NEXT, 1)))
lie('memory that ends too soon', chain((0, MEMORY - 4, 23, NEXT, 1)))
lie('an address that wraps', chain((0, (1 << 64) - 8, 23, NEXT, 1)))
lie('a next piece that is none', chain((0, OUT, 23, NEXT, SIZE)))
lie('an indirect table', chain((0, OUT, 32, 4, 0)))
lie('a piece of no bytes', chain((0, OUT, 0, NEXT, 1)))
lie('what is read behind what is written', chain((2, OUT, 23, 0, 0)))
lie('no room for a reply', chain((3, OUT + 5, 18, 0, 0)))
lie('a message that says another length', lambda m: (m.message(116, b'x' * 16), m.memory.__setitem__(OUT, 99), m.post()))
lie('a head that is none', lambda m: m.post(SIZE))
lie('more requests than the ring has', lambda m: (m.memory.__setitem__(slice(AVAIL + 2, AVAIL + 4), b'\xff\x7f'), os.eventfd_write(m.kick, 1)))
lie('a ring of 7', lambda m: None, False, size=7)
lie('a ring of none', lambda m: None, False, size=0)
lie('a ring outside of memory', lambda m: None, False, used=MEMORY - 8)
lie('a ring that lies crooked', lambda m: None, False, desc=8)
lie('another size while the ring runs', lambda m: m.say(8, struct.pack('<II', 1, 1 << 15)))
lie('memory of no bytes', lambda m: None, False, memory=0)

# The guest changes everything at all times; the server answers or ends, and nothing happens outside.
seed = random.randrange(1 << 32)
rng = random.Random(seed)
ends = 0
for _ in range(20):
    m = Machine()
    m.begin()
    for n in range(100):
        m.message(rng.choice([12, 14, 24, 40, 72, 110, 116, 118]), rng.randbytes(rng.randrange(60)))
        if rng.randrange(10) == 0:
            m.memory[rng.choice([DESC, AVAIL]) + rng.randrange(80)] = rng.randrange(256)
        m.post()
        m.memory[OUT + rng.randrange(60)] = rng.randrange(256)
        if m.process.poll() is not None or select.select([m.irq, m.socket], [], [], 0.05)[0] == [m.socket]:
            break
        m.taken = struct.unpack_from('<H', m.memory, USED + 2)[0]
    ends += m.end() in (0, 1)
check(ends == 20, f'random rings and messages (seed {seed})')
shutil.rmtree(SRC)
done()
