#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the seed corpus of a fuzzer: seeds.py NAME DIR. Inputs that reach deep, so that mutation starts there."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile


def erofs():
    if shutil.which('mkfs.erofs') is None:
        return
    with tempfile.TemporaryDirectory() as tmp:
        tree = pathlib.Path(tmp, 'tree')
        (tree / 'd' / 'sub').mkdir(parents=True)
        (tree / 'one').write_bytes(b'1')
        (tree / 'tail').write_bytes(bytes(range(256)) * 18)
        (tree / 'd' / 'file').write_bytes(b'text\n' * 30)
        (tree / 'd' / 'link').symlink_to('../one')
        os.link(tree / 'one', tree / 'd' / 'hard')
        os.mkfifo(tree / 'fifo')
        with open(tree / 'holes', 'wb') as f:
            f.truncate(20000)
            f.seek(9000)
            f.write(b'x')
        for n in range(8):
            (tree / 'd' / 'sub' / f'name-{n}').touch()
        for path in (tree / 'tail', tree / 'd'):
            try:
                os.setxattr(path, 'user.first', b'value')
                os.setxattr(path, 'user.second', b'v' * 40)
            except OSError:
                pass  # a file system without them
        for n, args in enumerate((['-E', 'noinline_data,force-inode-extended'], ['-E', 'force-inode-extended'],
                                  ['-T1700000000'], ['--chunksize=4096', '-E', 'force-chunk-indexes'], ['--chunksize=8192'])):
            image = pathlib.Path(tmp, str(n))
            r = subprocess.run(['mkfs.erofs', '--quiet', '-x1', *args, image, tree], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
            if r.returncode == 0:
                yield image.read_bytes()


def elf():
    def header(kind, entry, phdrs):
        return (b'\x7fELF\2\1\1' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', kind, 62, 1, entry, 64, 0, 0, 64, 56, len(phdrs), 0, 0, 0)
                + b''.join(struct.pack('<IIQQQQQQ', *p) for p in phdrs))
    yield struct.pack('<I', 0) + header(2, 0x400078, [(1, 5, 0, 0x400000, 0, 0x80, 0x80, 4096)])
    yield struct.pack('<I', 65536) + header(3, 0x1000, [
        (6, 4, 64, 64, 0, 56 * 5, 56 * 5, 8), (3, 4, 344, 344, 0, 28, 28, 1), (1, 4, 0, 0, 0, 0x1000, 0x1000, 4096),
        (1, 5, 0x1000, 0x1000, 0, 0x2000, 0x2000, 4096), (1, 6, 0x3000, 0x4000, 0, 0x100, 0x5000, 1 << 21),
        (0x6474e551, 6, 0, 0, 0, 0, 0, 16)])
    for path in ('/bin/true', '/lib64/ld-linux-x86-64.so.2'):
        if os.path.exists(path):
            data = pathlib.Path(path).read_bytes()
            yield struct.pack('<I', len(data)) + data[:1024]


CONFIG = {
    'ociVersion': '1.0.2', 'hostname': 'h',
    'process': {'terminal': True, 'cwd': '/', 'args': ['/bin/sh', '-c', 'a\u00e4\n'], 'env': ['A=b'], 'noNewPrivileges': True,
                'user': {'uid': 1, 'gid': 2, 'additionalGids': [3, 4]}, 'consoleSize': {'height': 25, 'width': 80},
                'rlimits': [{'type': 'RLIMIT_NOFILE', 'soft': 1024, 'hard': 18446744073709551615}]},
    'root': {'path': 'rootfs', 'readonly': False},
    'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc', 'options': ['nosuid', 'ro']}],
    'annotations': {'org.drupe.net.mode': 'static', 'org.drupe.net.address': '10.0.2.15/24', 'org.drupe.net.gateway': '10.0.2.2',
                    'org.drupe.net.dns': '10.0.2.3,1.1.1.1', 'org.drupe.net.domain': 'x.y', 'org.drupe.net.eager': '1',
                    'org.drupe.verbose': '0', 'org.drupe.winsize': '25x80'},
}


def config():
    yield json.dumps(CONFIG).encode()
    yield json.dumps({'process': {'args': ['x']}}, indent=1).encode()
    for key in CONFIG:
        yield json.dumps({'process': {'args': ['x']}, key: CONFIG[key]}).encode()


def json_():
    yield json.dumps(CONFIG, indent=2).encode()
    yield json.dumps(CONFIG, ensure_ascii=False).encode()
    yield rb'[[[[]]],{"a":[{}]},"\u00e4\ud83d\ude00\"\\\/\b\f\n\r\t",-0,1.5e+10,-9223372036854775808,18446744073709551615,true,null]'


def control():
    def message(kind, payload=b'', magic=0x50555244, version=1, length=None):
        return struct.pack('<IHHI', magic, version, kind, len(payload) if length is None else length) + payload
    talk = (message(64, struct.pack('<II', 15, 0)) + message(65, struct.pack('<HHHH', 25, 80, 0, 0)) + message(99, b'unknown')
            + message(66, struct.pack('<Q', 5)))
    for piece in (0, 3, 255):
        yield bytes([piece]) + talk + message(66)
        yield bytes([piece]) + message(64, b'123') + talk
        yield bytes([piece]) + talk + message(64, magic=1) + message(64, version=2) + message(70, length=70000)


def packet():
    def seg(peer, flags, seq=0, ack=0, opts=b'', pieces=0, data=b'', wnd=0):
        return bytes([2, peer, flags]) + struct.pack('<hhB', seq, ack, len(opts) | pieces << 5 | wnd) + opts + data.ljust(pieces * 97, b'.')
    syn_options = bytes([2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0])
    SYN, ACK, FIN, RST = 2, 16, 1, 4
    accept, sleep = bytes([8, 0]), lambda n: bytes([13, n])
    recv, send = (lambda s: bytes([9, s | 0xc0])), (lambda s: bytes([10, s | 0xf8]))
    hello = seg(0, SYN, opts=syn_options) + seg(0, ACK) + accept
    yield b'\0' + hello + seg(0, ACK, pieces=2) + recv(4) + send(4) + seg(0, ACK) + seg(0, ACK | FIN) + bytes([12, 0]) + seg(0, ACK)
    yield b'\1' + hello + seg(0, ACK, seq=97, pieces=1) + seg(0, ACK, seq=291, pieces=2) + seg(0, ACK, pieces=1) + recv(4) + send(4) + sleep(0x7f)
    yield b'\2' + seg(0, SYN) + seg(0, ACK) + accept + send(4) + seg(0, ACK, ack=-500) * 4 + sleep(0x45) + seg(0, ACK, wnd=1) + send(4) + sleep(0x5f)
    yield b'\3' + seg(3, SYN | ACK, opts=syn_options) + send(0) + seg(3, ACK, pieces=3) + recv(0) + bytes([11, 8]) + seg(3, ACK | FIN) + sleep(0x41)
    yield b'\0' + seg(3, RST | ACK) + b''.join(seg(n, SYN) for n in range(3)) + seg(0, RST) + accept * 3
    yield b'\0' + bytes([5, 0, 20]) + b'q' * 20 + bytes([9, 0x81]) + bytes([6, 0, 20, 8, 0, 0, 0, 0, 1, 0, 2]) + b'ping' * 5 + bytes([9, 0x82])
    yield b'\0' + hello + bytes([7, 0, 0, 3, 4, 0x40, 2, 0]) + send(4) + bytes([7, 0, 3, 3, 1, 0, 0, 0]) + sleep(0x48)
    yield b'\0' + bytes([1, 64, 0, 0x20, 17]) + b'f' * 64 + b'\1' + bytes([1, 40, 8, 0, 17]) + b'g' * 40 + b'\1' + sleep(0xff)
    arp = bytes.fromhex('020000000002 020000000001 0806 0001 0800 0604 0001 020000000001 0a000001 000000000000 0a000002')
    yield b'\0' + bytes([0, len(arp)]) + arp + bytes([14, 4 + 0x10, 8, 0x82, 10]) + bytes([15, 0, 15, 1, 15, 4, 15, 5])
    yield b'\2' + hello + bytes([14, 4 + 0x20, 1, 1]) + send(4) + bytes([11, 12]) + seg(0, ACK) + sleep(0x90) + bytes([12, 0]) + sleep(0xd0)


def ring():
    yield bytes([4]) + (bytes([0, 5, 0, 0]) + bytes([2, 0, 0, 0]) + bytes([5, 0, 10, 0]) + bytes([1, 0, 0, 0])) * 3
    yield bytes([3 | 8]) + bytes([0, 21, 0, 0]) * 5 + bytes([4, 2, 0, 0]) + (bytes([5, 1, 0xff, 0xff]) + bytes([1, 0, 0, 0])) * 3


def main():
    name, out = sys.argv[1:]
    make = {'erofs': erofs, 'elf': elf, 'config': config, 'json': json_, 'control': control, 'packet': packet, 'ring': ring}.get(name)
    os.makedirs(out, exist_ok=True)
    for n, data in enumerate(make() if make else []):
        pathlib.Path(out, f'seed-{n}').write_bytes(data)


if __name__ == '__main__':
    main()
