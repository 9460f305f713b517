#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drupe-slirp, spoken to in Ethernet frames: ARP, DNS server, published ports, hidden loopback, its filter and its end."""
import os
import select
import socket
import struct
import subprocess
import sys
import time

from lib import DRUPE, check, done, until

SLIRP = os.path.join(os.path.dirname(DRUPE), 'drupe-slirp')
MAC = bytes.fromhex('525400123456')
GUEST, GATEWAY = socket.inet_aton('10.0.2.15'), socket.inet_aton('10.0.2.2')


def checksum(data):
    data += b'\0' * (len(data) % 2)
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Net:
    def __init__(self, *ports, policy=()):
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        fds, args = [theirs.fileno()], []
        for sock, proto, guest in ports:
            fds.append(sock.fileno())
            args.append(f'{proto}:{sock.fileno()}:{guest}')
        self.process = subprocess.Popen([SLIRP, str(theirs.fileno()), *args, *policy], pass_fds=fds)
        theirs.close()
        self.data, self.gateway_mac = b'', None

    def send(self, frame):
        self.ours.sendall(struct.pack('!I', len(frame)) + frame)

    def frames(self, seconds):
        """Frames as they come; ARP requests for us are answered."""
        end = time.monotonic() + seconds
        while True:
            while len(self.data) >= 4 and len(self.data) >= 4 + struct.unpack('!I', self.data[:4])[0]:
                n = struct.unpack('!I', self.data[:4])[0]
                frame, self.data = self.data[4:4 + n], self.data[4 + n:]
                if frame[12:14] == b'\x08\x06' and frame[20:22] == b'\0\x01' and frame[38:42] == GUEST:
                    self.arp(2, frame[22:28], frame[28:32])
                    continue
                yield frame
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.ours], [], [], left)[0]:
                return
            more = self.ours.recv(65536)
            if not more:
                return
            self.data += more

    def arp(self, op, to_mac, to_ip):
        eth = (to_mac if op == 2 else b'\xff' * 6) + MAC + b'\x08\x06'
        self.send(eth + struct.pack('!HHBBH', 1, 0x800, 6, 4, op) + MAC + GUEST + (to_mac if op == 2 else bytes(6)) + to_ip)

    def ip(self, proto, dst, payload):
        head = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0) + GUEST + dst
        head = head[:10] + struct.pack('!H', checksum(head)) + head[12:]
        self.send(self.gateway_mac + MAC + b'\x08\x00' + head + payload)

    def tcp(self, dst, sport, dport, seq, ack, flags, data=b''):
        seg = struct.pack('!HHIIBBHHH', sport, dport, seq, ack, 0x50, flags, 65535, 0, 0) + data
        pseudo = GUEST + dst + struct.pack('!BBH', 0, 6, len(seg))
        self.ip(6, dst, seg[:16] + struct.pack('!H', checksum(pseudo + seg)) + seg[18:])

    def resolve_gateway(self):
        self.arp(1, b'', GATEWAY)
        for frame in self.frames(60):
            if frame[12:14] == b'\x08\x06' and frame[20:22] == b'\0\x02':
                self.gateway_mac = frame[22:28]
                return True
        return False

    def segments(self, seconds):
        for frame in self.frames(seconds):
            if frame[12:14] == b'\x08\x00' and frame[23] == 6:
                ihl = (frame[14] & 15) * 4
                end = 14 + struct.unpack('!H', frame[16:18])[0]
                seg = frame[14 + ihl:end]
                sport, dport, seq, ack, off, flags = struct.unpack('!HHIIBB', seg[:14])
                yield frame[26:30], sport, dport, seq, ack, flags, seg[(off >> 4) * 4:]

    def end(self):
        self.ours.close()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return 'still there'


def listening(kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, kind)
    s.bind(('127.0.0.1', 0))
    if kind == socket.SOCK_STREAM:
        s.listen(4096)
    return s


tcp, udp = listening(), listening(socket.SOCK_DGRAM)
port = tcp.getsockname()[1]
net = Net((tcp, 'tcp', 6379), (udp, 'udp', 53))
check(net.resolve_gateway(), 'the gateway answers ARP')
udp_port = udp.getsockname()[1]
tcp.close()
udp.close()

# Sixty callers at once: all get through to the guest (libslirp's own backlog is 1).
callers = []
for _ in range(60):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(('127.0.0.1', port))
    callers.append(s)
seen, replies = {}, 0
for src, sport, dport, seq, ack, flags, data in net.segments(60):
    if flags & 2 and sport not in seen:
        seen[sport] = dport
        net.tcp(src, dport, sport, 1000, seq + 1, 0x12)
        net.tcp(src, dport, sport, 1001, seq + 1, 0x18, b'hello')
    if len(seen) == 60:
        break
check(len(seen) == 60 and set(seen.values()) == {6379}, 'sixty callers at once arrive at the guest\'s port', f'{len(seen)}')
for _ in net.segments(0.5):
    pass
for s in callers:
    s.settimeout(60)
    try:
        replies += s.recv(5) == b'hello'
    except OSError:
        pass
    s.close()
check(replies == 60, 'and get their answers', replies)

# UDP.
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'question', ('127.0.0.1', udp_port))
got = None
for frame in net.frames(60):
    if frame[12:14] == b'\x08\x00' and frame[23] == 17:
        got = frame[42:50], struct.unpack('!H', frame[36:38])[0]
        break
check(got == (b'question', 53), 'a datagram arrives', got)
s.settimeout(60)
net.ip(17, GATEWAY, struct.pack('!HHHH', 53, s.getsockname()[1], 14, 0) + b'answer')
try:
    got = s.recv(99)
except OSError as e:
    got = e
check(got == b'answer', 'and is answered', got)


def fragment(net, dst, number, offset, data, more):
    head = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(data), number, (0x2000 if more else 0) | offset // 8, 64, 17, 0) + GUEST + dst
    frame = net.gateway_mac + MAC + b'\x08\x00' + head[:10] + struct.pack('!H', checksum(head)) + head[12:] + data
    return struct.pack('!I', len(frame)) + frame


long = os.urandom(40003)
s.settimeout(60)
whole = struct.pack('!HHHH', 53, s.getsockname()[1], 8 + len(long), 0) + long
pieces = [(at, whole[at:at + 1480], at + 1480 < len(whole)) for at in range(0, len(whole), 1480)]
for at, data, more in pieces[::-1] + pieces[1:2] + [(0, bytes(16), True)]:
    net.ours.sendall(fragment(net, GATEWAY, 7, at, data, more))
try:
    got = s.recv(99999)
except OSError as e:
    got = e
check(got == long, 'in fragments, too, the last first', got if isinstance(got, OSError) else len(got))
for at, data, more in ((0, whole[:1480], True), (1472, whole[:16], True), (2000, whole[:8], False), (1480, whole[:8], False), (65528, whole[:1480], True)):
    net.ours.sendall(fragment(net, GATEWAY, 9, at, data, more))
for _ in net.frames(0.1):
    pass
check(net.process.poll() is None, 'fragments that do not fit are survived')
for at, data, more in pieces:
    net.ours.sendall(fragment(net, GATEWAY, 10, at, data, more))
    net.ours.sendall(b''.join(fragment(net, GATEWAY, 11 + n, 0, bytes(7), True) for n in range(20)))
try:
    got = s.recv(99999)
except OSError as e:
    got = e
check(got == long, 'and bad ones do not take the place of a good datagram', got if isinstance(got, OSError) else len(got))
s.close()

# From inside: the world, but not the host's loopback.
server = socket.socket()
server.bind(('127.0.0.1', 0))
server.listen()
server.settimeout(1)
net.tcp(GATEWAY, 40000, server.getsockname()[1], 1, 0, 2)
flags = [f[5] for f in net.segments(1)]
check(not any(f & 0x12 == 0x12 for f in flags), 'the host\'s loopback is hidden', flags)
datagrams = listening(socket.SOCK_DGRAM)
datagrams.settimeout(0.3)
for i, hidden in enumerate(('127.0.0.1', '127.1.2.3', '0.0.0.0', '10.0.2.3')):
    dst = socket.inet_aton(hidden)
    net.tcp(dst, 41000 + i, server.getsockname()[1], 1, 0, 2)
    net.ip(17, dst, struct.pack('!HHHH', 42000 + i, datagrams.getsockname()[1], 9, 0) + b'x')
    flags = [f[5] for f in net.segments(0.5)]
    try:
        came = datagrams.recv(9)
    except OSError:
        came = None
    check(came is None and not any(f & 0x12 == 0x12 for f in flags), f'and {hidden} does not lead there', (flags, came))
datagrams.close()
server.close()
address = subprocess.run(['hostname', '-I'], capture_output=True, text=True).stdout.split()
if address and '.' in address[0]:
    outside = socket.socket()
    outside.bind((address[0], 0))
    outside.listen()
    net.tcp(socket.inet_aton(address[0]), 40001, outside.getsockname()[1], 1, 0, 2)
    ok = any(f[5] & 0x12 == 0x12 for f in net.segments(60))
    check(ok, 'other addresses can be reached')
    outside.close()

# Where it may go.
def reached(want, proto, *policy):
    """Can the guest reach an open port under this policy? None where this machine has no address."""
    if not address or '.' not in address[0]:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if proto == 17 else socket.SOCK_STREAM) as target:
        target.bind((address[0], 0))
        target.settimeout(60 if want else 1)
        if proto == 6:
            target.listen()
        there = Net(policy=[p.format(address[0], target.getsockname()[1]) for p in policy])
        there.resolve_gateway()
        try:
            if proto == 17:
                there.ip(17, socket.inet_aton(address[0]), struct.pack('!HHHH', 42000, target.getsockname()[1], 9, 0) + b'x')
                return target.recv(9) == b'x'
            there.tcp(socket.inet_aton(address[0]), 40001, target.getsockname()[1], 1, 0, 2)
            flags = next((f[5] for f in there.segments(60) if f[5] & 6), 0) # SYN or RST
            return True if flags & 0x12 == 0x12 else 'reset' if flags & 4 else False
        except OSError:
            return False
        finally:
            there.end()


for proto, policy, want in ((6, ['egress', 'egress:tcp:{1}@{0}/32'], True), (6, ['egress'], 'reset'), (6, ['egress', 'egress:udp:{1}@{0}/32'], 'reset'),
                            (17, ['egress', 'egress:any@{0}/32'], True), (17, ['egress', 'egress:any:1@{0}/32'], False)):
    got = reached(want, proto, *policy)
    check(got in (want, None), f'protocol {proto} under {policy}', got)

# What the process may do.
status = open(f'/proc/{net.process.pid}/status').read()
check('Seccomp:\t2' in status and 'NoNewPrivs:\t1' in status, 'it runs under its filter')
if os.geteuid() == 0:
    check('Uid:\t65534' in status, 'and not as root')
check(net.end() == 0, 'it ends when the machine does')

# Nonsense from a hostile guest.
net = Net()
net.resolve_gateway()
for i in range(3000):
    net.send((net.gateway_mac or MAC) + MAC + os.urandom(2 + i % 200) if i % 3 else
             (net.gateway_mac or MAC) + MAC + b'\x08\x00\x45' + os.urandom(60))
for _ in net.frames(0.3):
    pass
check(net.process.poll() is None, '3000 nonsense frames are survived', net.process.poll())
def rss():
    with open(f'/proc/{net.process.pid}/statm') as f:
        return int(f.read().split()[1]) << 12


before = rss()
for i in range(0, 20000, 500):
    net.ours.sendall(b''.join(fragment(net, bytes([192, 0, 2, 1]), n, 8, bytes(8), True) for n in range(i, i + 500)))
net.arp(1, b'', GATEWAY)
there = any(f[12:14] == b'\x08\x06' for f in net.frames(60))
check(there and rss() - before < 8 << 20, '20000 fragments take little of the host\'s memory', (there, f'{rss() - before >> 20} MiB'))
net.ours.sendall(struct.pack('!I', 1 << 30))
check(until(lambda: net.process.poll() is not None) and net.process.poll() >= 0, 'an endless frame ends it in order', net.process.poll())
net.ours.close()
net.process.wait()


# libslirp does not know the link address of who connects to what is refused, and has its answer wait.
def syn(net, src, dst, sport):
    family = socket.AF_INET6 if ':' in src else socket.AF_INET
    a, b = socket.inet_pton(family, src), socket.inet_pton(family, dst)
    seg = struct.pack('!HHIIBBHHH', sport, 7, 1, 0, 0x50, 2, 65535, 0, 0)
    sum_ = checksum(a + b + struct.pack('!IHBB', 20, 0, 0, 6) + seg)
    seg = seg[:16] + struct.pack('!H', sum_) + seg[18:]
    if family == socket.AF_INET6:
        return net.send(net.gateway_mac + MAC + b'\x86\xdd' + struct.pack('!IHBB', 0x60000000, 20, 6, 64) + a + b + seg)
    head = struct.pack('!BBHHHBBH', 0x45, 0, 40, 1, 0, 64, 6, 0) + a + b
    net.send(net.gateway_mac + MAC + b'\x08\x00' + head[:10] + struct.pack('!H', checksum(head)) + head[12:] + seg)


net = Net()
net.resolve_gateway()
resets = set()
try:
    for i in range(1, 41):
        syn(net, f'fec0::{i:x}:1', 'fec0::2', 40000 + i)
        syn(net, f'10.0.2.{100 + i}', '10.0.2.2', 40000 + i)
    for src, dst in (('::', 'fec0::2'), ('ff02::1', 'fec0::2'), ('0.0.0.0', '10.0.2.2'), ('224.0.0.1', '10.0.2.2')):
        syn(net, src, dst, 50000)
    for frame in net.frames(0.5):
        v6 = frame[12:14] == b'\x86\xdd'
        if frame[20 if v6 else 23] == 6:
            at = 54 if v6 else 34
            resets.add((v6, struct.unpack('!H', frame[at + 2:at + 4])[0], frame[at + 13] & 4))
except OSError as e:
    resets.add(e)
check(resets == {(v6, 40000 + i, 4) for v6 in (False, True) for i in range(1, 41)}, 'strangers are refused, all of them', (net.process.poll(), len(resets)))
end = net.end()
check(end == 0, 'and the network lives', end)
done()
