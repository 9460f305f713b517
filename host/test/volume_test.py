#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server of a volume against a client that lies: volume_test.py DRUPE (drupe-9p lies beside it)."""
import errno
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time

from lib import DRUPE, check, done, work

SERVER = os.path.join(os.path.dirname(os.path.realpath(DRUPE)), 'drupe-9p')
TOP = os.path.dirname(work('secret', b'secret\n'))
SRC = os.path.join(TOP, 'src')
os.makedirs(SRC + '/dir')
with open(SRC + '/file', 'w') as f:
    f.write('text\n')
os.symlink('../secret', SRC + '/link')
os.mkfifo(SRC + '/fifo')

ERROR, LOPEN, LCREATE, SYMLINK, MKNOD, SETATTR, READDIR, LINK, MKDIR, UNLINK, VERSION, ATTACH, WALK, READ, WRITE, CLUNK, RENAME, \
    XATTRWALK, XATTRCREATE, GETATTR = 7, 12, 14, 16, 18, 26, 40, 70, 72, 76, 100, 104, 110, 116, 118, 120, 204, 30, 32, 24
NOFID = 0xffffffff


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack('<H', len(s)) + s


class Client:
    def __init__(self, mode='rw'):
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(120)
        root = os.open(SRC, os.O_PATH)
        self.process = subprocess.Popen(['bash', '-c', f'exec 3<&{theirs.fileno()} 4<&{root}; exec "$0" "$1"', SERVER, mode],
                                        pass_fds=(theirs.fileno(), root))
        theirs.close()
        os.close(root)

    def raw(self, data):
        self.socket.sendall(data)

    def exact(self, n):
        data = b''
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def reply(self):
        size, kind, tag = struct.unpack('<IBH', self.exact(7))
        return kind, tag, self.exact(size - 7)

    def call(self, kind, body):
        """The reply's body, or the errno's name."""
        self.raw(struct.pack('<IBH', 7 + len(body), kind, 5) + body)
        got, tag, body = self.reply()
        return errno.errorcode.get(struct.unpack('<I', body)[0], 'a number') if got == ERROR else body

    def begin(self):
        self.call(VERSION, struct.pack('<I', 65536) + text('9P2000.L.drupe'))
        return self.call(ATTACH, struct.pack('<II', 0, NOFID) + text('') + text('') + struct.pack('<I', 0))

    def walk(self, new, *names, fid=0):
        return self.call(WALK, struct.pack('<IIH', fid, new, len(names)) + b''.join(map(text, names)))

    def end(self):
        self.socket.close()
        return self.process.wait(120)


c = Client()
check(c.call(VERSION, struct.pack('<I', 8192) + text('9P2000.L.drupe')) == struct.pack('<I', 8192) + text('9P2000.L.drupe'), 'messages of 8 KiB')
c.call(ATTACH, struct.pack('<II', 0, NOFID) + text('') + text('') + struct.pack('<I', 0))
c.walk(0x101, 'file')
c.call(LOPEN, struct.pack('<II', 0x101, 2))
check(c.call(WRITE, struct.pack('<IQI', 0x101, 5, 8192) + bytes(8192)) == 'EMSGSIZE', 'a message that is longer is refused')
check(os.path.getsize(SRC + '/file') == 5, 'and writes nothing')
check(c.end() == 0, 'the server ends with it')

c = Client()
check(c.walk(1, 'file') == 'EPROTO', 'nothing before the version')
check(len(c.begin()) == 13, 'attach')
for names in (['..'], ['dir', '..', '..'], ['/etc'], ['dir/../../secret'], [''], ['.'], [b'a\0b'], ['link', 'x'], ['x' * 256], ['a'] * 17):
    check(isinstance(c.walk(1, *names), str), f'walk to {names[:3]!r} is refused')
check(len(c.walk(1, 'link')) == 15 and c.call(LOPEN, struct.pack('<II', 1, 0)) == 'EACCES', 'a symbolic link is not followed')
check(len(c.walk(2, 'fifo')) == 15 and c.call(LOPEN, struct.pack('<II', 2, 0)) == 'EACCES', 'a pipe is not opened')
for kind, body in ((MKDIR, struct.pack('<I', 0) + text('../x') + struct.pack('<II', 0o777, 0)),
                   (SYMLINK, struct.pack('<I', 0) + text('..') + text('x') + struct.pack('<I', 0)),
                   (UNLINK, struct.pack('<I', 0) + text('../secret') + struct.pack('<I', 0)),
                   (RENAME, struct.pack('<I', 0) + text('file') + struct.pack('<I', 0) + text('../file') + struct.pack('<I', 0)),
                   (LINK, struct.pack('<II', 0, 1) + text('../x')),
                   (LCREATE, struct.pack('<I', 0) + text('a/b') + struct.pack('<III', 2, 0o600, 0))):
    check(isinstance(c.call(kind, body), str), f'request {kind} with a name that leads elsewhere is refused')
check(c.call(MKNOD, struct.pack('<I', 0) + text('sda') + struct.pack('<IIII', 0o60666, 8, 0, 0)) == 'EPERM', 'no device nodes')
check({c.call(99, b''), c.call(255, b'')} <= {'EOPNOTSUPP', 'ENOTSUP'}, 'unknown requests')
check(c.walk(1 << 30, 'file') == 'EMFILE' and c.walk(NOFID, 'file') == 'EMFILE', 'fids have a limit')
check(c.walk(1, 'file') == 'EBADF' and c.walk(3, 'file', fid=77) == 'EBADF', 'fids in use, and unknown ones')
check(len(c.walk(3, 'file')) == 15 and isinstance(c.call(LOPEN, struct.pack('<II', 3, 2)), bytes), 'a file is opened')
check(len(c.call(READ, struct.pack('<IQI', 3, 0, NOFID))) == 9, 'a read of 4 GiB gets what there is')
check(c.call(READ, struct.pack('<IQI', 3, 1 << 63, 10)) == 'EINVAL', 'a read at a negative place')
check(c.call(WRITE, struct.pack('<IQI', 3, 0, 1000) + b'short') == 'EINVAL', 'a write that says more than it has')
check(c.call(READDIR, struct.pack('<IQI', 3, 0, 100)) == 'EBADF', 'a file is no directory')
# Extended attributes: the server's memory is neither told nor without end.


def rss():
    with open(f'/proc/{c.process.pid}/statm') as f:
        return int(f.read().split()[1]) << 12


c.walk(20, 'file')
c.call(XATTRCREATE, struct.pack('<I', 20) + text('user.x') + struct.pack('<QI', 4096, 0))
c.call(WRITE, struct.pack('<IQI', 20, 0, 4000) + b's' * 4000)
check(c.call(CLUNK, struct.pack('<I', 20)) == 'EINVAL', 'half a value is not set')
c.walk(20, 'file')
c.call(XATTRCREATE, struct.pack('<I', 20) + text('user.x') + struct.pack('<QI', 4096, 0))
unwritten = c.call(READ, struct.pack('<IQI', 20, 0, 4096))
check(unwritten == struct.pack('<I', 4096) + bytes(4096), 'of a value that is being written nothing else is read')
c.call(CLUNK, struct.pack('<I', 20))
before = rss()
for kind, body in ((XATTRWALK, lambda n: struct.pack('<IIH', 3, n, 0)), (CLUNK, lambda n: struct.pack('<I', n))):
    for i in range(0, 20000, 100):
        c.raw(b''.join(struct.pack('<IBH', 7 + len(body(k)), kind, 5) + body(k) for k in range(100 + i, 200 + i)))
        for _ in range(100):
            c.reply()
    if kind == XATTRWALK:
        check(rss() - before < 32 << 20, '20000 values that are kept take what they are long', f'{rss() - before >> 20} MiB')
made = [c.walk(200 + i, 'file') and c.call(XATTRCREATE, struct.pack('<I', 200 + i) + text('user.x') + struct.pack('<QI', 65536, 0)) for i in range(600)]
check(made[0] == b'' and made[-1] == 'ENOMEM', 'and values have a limit', made[-1])
for i in range(600):
    c.call(CLUNK, struct.pack('<I', 200 + i))
check(c.walk(200, 'file') and c.call(XATTRCREATE, struct.pack('<I', 200) + text('user.x') + struct.pack('<QI', 65536, 0)) == b'', 'of those that there are')
os.rename(SRC + '/dir', TOP + '/moved')
check(c.walk(9, 'dir') == 'ENOENT', 'a directory that the host has moved away')
os.rename(TOP + '/moved', SRC + '/dir')
check(c.end() == 0, 'the server ends with its client')

# A directory's version: none while a change could be in the same tick of a clock.
c = Client()
c.begin()
c.walk(1, 'dir')


def version():
    return struct.unpack('<Q', c.call(GETATTR, struct.pack('<IQ', 1, 0x3fff))[145:153])[0]


if subprocess.run(['stat', '-fc', '%T', SRC], capture_output=True, text=True).stdout.strip() in ('ext2/ext3', 'xfs', 'btrfs', 'f2fs', 'tmpfs', 'overlayfs'):
    for change in (os.mkdir, os.rmdir):
        old = version()
        change(SRC + '/dir/x')
        new = [version()]
        time.sleep(3.1)
        new += [version() for _ in range(2)]
        check(new[0] == 0 != new[1] == new[2] != old, 'a version comes when names are settled, and is another one then', (old, new))
c.end()
proper, SRC = SRC, '/proc/self'
c = Client('ro')
c.begin()
c.walk(1, 'task')
check(version() == 0, 'procfs has none')
c.end()
SRC = proper

c = Client('ro')
c.begin()
c.walk(1, 'file')
check(c.call(LOPEN, struct.pack('<II', 1, 2)) == 'EROFS' and c.call(UNLINK, struct.pack('<I', 0) + text('file') + struct.pack('<I', 0)) == 'EROFS'
      and c.call(SETATTR, struct.pack('<IIIIIQQQQQ', 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)) == 'EROFS', 'ro')
check(isinstance(c.call(LOPEN, struct.pack('<II', 1, 0o1000)), bytes) and os.path.getsize(SRC + '/file') == 5, 'a reader cannot truncate')
c.end()

for junk in (b'\0' * 7, b'\xff' * 7, struct.pack('<IBH', 6, VERSION, 0)):
    c = Client()
    c.raw(junk)
    check(c.process.wait(120) == 1, f'a message of an impossible size ends the conversation: {junk[:4].hex()}')
    c.socket.close()

# Requests with fields of random bytes: each gets one answer, and nothing happens outside.
seed = random.randrange(1 << 32)
rng = random.Random(seed)
kinds = [8, 12, 14, 16, 18, 22, 24, 26, 30, 32, 40, 50, 70, 72, 76, 108, 110, 116, 118, 120, 200, 202, 204, 206]
c = Client()
c.begin()
names = ['file', 'dir', '..', 'link', 'new', 'fifo', '/', 'user.x']
answered = 0
for n in range(3000):
    body = struct.pack('<I', rng.randrange(4))
    for _ in range(rng.randrange(6)):
        body += rng.choice([lambda: struct.pack('<I', rng.choice([0, 1, 2, 3, NOFID, rng.getrandbits(32)])), lambda: text(rng.choice(names)),
                            lambda: struct.pack('<Q', rng.choice([0, 1, rng.getrandbits(16)])), lambda: rng.randbytes(rng.randrange(9))])()
    c.raw(struct.pack('<IBH', 7 + len(body), rng.choice(kinds), n) + body)
    kind, tag, _ = c.reply()
    answered += tag == n
check(answered == 3000 and c.end() == 0, f'3000 random requests are answered (seed {seed})')
with open(TOP + '/secret') as f:
    check(f.read() == 'secret\n' and sorted(set(os.listdir(TOP)) & {'new', 'file', 'x', 'link', 'sda'}) == [], 'nothing happened outside')
shutil.rmtree(SRC)
done()
