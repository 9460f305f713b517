#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the seed corpus of a fuzzer: seeds.py NAME DIR. Inputs that reach deep, so that mutation starts there."""
import json
import os
import pathlib
import random
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


def hostelf():
    for data in elf():
        yield b'\0\0' + data[4:]
    for line in ('int main(void) { return 0; }', '__attribute__((visibility("default"))) int f(int x) { return x + 1; }'):
        with tempfile.TemporaryDirectory() as tmp:
            for n, options in enumerate((['-c'], ['-shared', '-fPIC', '-nostdlib', '-Wl,-z,noseparate-code,-soname,a,-rpath,b'], ['-Wl,-z,noseparate-code'])):
                out = pathlib.Path(tmp, str(n))
                if subprocess.run(['cc', '-x', 'c', '-', '-o', out, *options], input=line.encode(), stderr=subprocess.DEVNULL).returncode == 0:
                    yield b'\x40\x04' + out.read_bytes()


CONFIG = {
    'ociVersion': '1.0.2', 'hostname': 'h',
    'process': {'terminal': True, 'cwd': '/', 'args': ['/bin/sh', '-c', 'a\u00e4\n'], 'env': ['A=b'], 'noNewPrivileges': True,
                'user': {'uid': 1, 'gid': 2, 'additionalGids': [3, 4]}, 'consoleSize': {'height': 25, 'width': 80},
                'rlimits': [{'type': 'RLIMIT_NOFILE', 'soft': 1024, 'hard': 18446744073709551615}]},
    'root': {'path': 'rootfs', 'readonly': False},
    'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc', 'options': ['nosuid', 'ro']}],
    'annotations': {'org.drupe.net.mode': 'static', 'org.drupe.net.address': '10.0.2.15/24', 'org.drupe.net.gateway': '10.0.2.2',
                    'org.drupe.net.dns': '10.0.2.3,1.1.1.1', 'org.drupe.net.domain': 'x.y', 'org.drupe.net.eager': '1',
                    'org.drupe.verbose': '0', 'org.drupe.one-output': '1', 'org.drupe.winsize': '25x80'},
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
    """Records of packet_fuzz.c; the handshake with port 7 is behind us."""
    def seg(flags, data=b'', kind=100, seq=0, ack=0, wnd=60000, opts=b''):
        return struct.pack('>BbbBHBB', kind, seq, ack, flags, wnd, len(opts) // 4, len(data)) + opts + data
    def frame(text):
        data = bytes.fromhex(text)
        return struct.pack('>BH', 0, len(data)) + data
    def ip(kind, data, frag=0):
        return struct.pack('>BBH', kind, len(data), frag) + data
    syn_options = bytes([2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0])
    FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
    recv, send, others, accept, shut, close = (bytes([n]) for n in (230, 231, 233, 234, 235, 236))
    def sleep(n):
        return bytes([232, n])
    ts = bytes([1, 1, 8, 10, 0, 0, 0, 10, 0, 0, 0, 0])
    yield seg(ACK | PSH, b'a' * 200, opts=ts) + recv + send + seg(ACK, ack=100, opts=ts) + seg(ACK | FIN, opts=ts) + close + seg(ACK, opts=ts)
    yield seg(ACK, b'b' * 100, kind=102, seq=1) + seg(ACK, b'c' * 100, seq=100) + seg(ACK, b'd' * 100) + recv + sleep(4)
    yield send + seg(ACK, ack=0) * 4 + sleep(20) + seg(ACK, wnd=0, ack=127) + send + sleep(200) + seg(ACK, wnd=9000) + sleep(5)
    yield shut + seg(ACK, ack=1) + seg(ACK | FIN) + sleep(30) + seg(RST)
    yield seg(SYN, kind=195, opts=syn_options) + seg(SYN, kind=196) + seg(RST | ACK) + accept + recv
    udp = bytes.fromhex('1e6100500018 0000') + b'u' * 16
    echo = bytes.fromhex('0800f7fe00010000') + bytes(8)
    yield ip(201, udp) + ip(202, echo) + others * 2
    yield ip(201, udp, 0x2000) + ip(201, b'f' * 40, 3) + ip(202, bytes.fromhex('0303000000000000 4500002800000000400600000a0000020a000001 00500007 00000000')) + sleep(255)
    yield frame('020000000002 020000000001 0806 0001 0800 0604 0001 020000000001 0a000001 000000000000 0a000002')
    yield frame('020000000002 020000000001 0800 45000024000000004011 66c7 0a000001 0a000002 1e6100500010 0000 7878787878787878')


def ring():
    yield bytes([4]) + (bytes([0, 5, 0, 0]) + bytes([2, 0, 0, 0]) + bytes([5, 0, 10, 0]) + bytes([1, 0, 0, 0])) * 3
    yield bytes([3 | 8]) + bytes([0, 21, 0, 0]) * 5 + bytes([4, 2, 0, 0]) + (bytes([5, 1, 0xff, 0xff]) + bytes([1, 0, 0, 0])) * 3


def rsp():
    def packet(text):
        return b'$' + text + b'#%02x' % (sum(text) % 256)
    yield b'+' + packet(b'qSupported:multiprocess+;swbreak+') + packet(b'QStartNoAckMode') + packet(b'g') + b'\x03'
    yield packet(b'm7fff12345678,40') + packet(b'X400000,3:a}]c') + packet(b'P10=0011223344556677')
    yield packet(b'vCont;s:1;c') + packet(b'Z0,401000,1') + packet(b'vFile:open:2f6574632f706173737764,0,0')


def bpfwords():
    yield b'BEGIN { printf("%d %-5s|%x\\n", 1, comm, nsecs); @a[1, "x"] = count(); @h = hist(3); @l = lhist(5, 0, 100, 10); exit(); }'
    yield b'syscall:read,tracepoint:syscalls:sys_enter_openat /pid == 1 && comm != "sh"/ { @[probe, fd] = sum(arg2); @s = str(arg1, 20); }'
    yield b'profile:hz:99 { @[ustack(3), kstack] = count(); } i:s:1 { print(@, 5, 2); clear(@); zero(@); time("%H\\n"); }'
    yield b'BEGIN { $i = 0; while ($i < 9) { $i++; if ($i == 5) { break; } else { @x[$i]--; } } unroll(3) { @y += 2 << 3; } $t = (1, (2, "a")); print($t.1); }'
    yield b'net:* { @[args.reason] = max(-1); } uprobe:/bin/bash:f+4 { @u = usym(arg0); @t = strftime("%H", nsecs); delete(@u); @v = 1 ? "a" : "b"; }'


def bpfobject():
    source = pathlib.Path(__file__).resolve().parents[1] / 'apps' / 'reads.bpf.c'
    with tempfile.TemporaryDirectory() as tmp:
        for n, args in enumerate((['-g', '-O2'], ['-g', '-O1'], ['-O2'])):
            out = pathlib.Path(tmp, str(n))
            subprocess.run(['clang-14', '-target', 'bpf', *args, '-I/usr/include/x86_64-linux-gnu', '-c', source, '-o', out], check=True)
            subprocess.run(['llvm-strip-14', '-g', out], check=True)
            yield out.read_bytes()


def bpf():
    r = random.Random(1)
    for _ in range(60): # a context, then choices
        yield r.randbytes(64) + bytes([r.choice([0, 0, 0, 7])]) + r.randbytes(r.randrange(10, 150))


def strace():
    r = random.Random(1)
    for nr in range(450): # a call that has returned, with memory behind each argument
        pieces = b''.join(struct.pack('<BBHI', arg, part, 96, 0) + bytes(r.choice((0, 0, 0, 1, r.randrange(256))) for _ in range(96))
                          for arg in range(6) for part in (0, 1, 255))
        yield struct.pack('<HHIq6Q', nr, len(pieces), 1, r.randrange(4), *(r.choice((0, 1, 2, 41, r.randrange(1 << 32))) for _ in range(6))) + 2 * pieces


def main():
    name, out = sys.argv[1:]
    make = {'bpf': bpf, 'erofs': erofs, 'elf': elf, 'hostelf': hostelf, 'config': config, 'json': json_, 'control': control, 'packet': packet, 'ring': ring, 'rsp': rsp,
            'bpfwords': bpfwords, 'bpfobject': bpfobject, 'strace': strace}.get(name)
    os.makedirs(out, exist_ok=True)
    for n, data in enumerate(make() if make else []):
        pathlib.Path(out, f'seed-{n}').write_bytes(data)


if __name__ == '__main__':
    main()
