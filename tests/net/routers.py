#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What routers say, to Drupe and to Linux on one bridge: the same program reads addresses, routes and sources on both, and its lines must be
the same: routers.py DRUPE BUILD --on WHERE"""
import os
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'apps'))
from lib import DRUPE, ON, check, done, same, tap_network  # noqa: E402

TWIN = f'drupe-twin-{os.getpid()}'
# Reads "NAME=VALUE ...; WANTED" lines: settings, and how many global addresses there will be, how many deprecated ones and which MTU; then tells
# what there is. Or reads "send ADDRESS", and sends a datagram there ten times a second until it reads a line.
LOOK = r'''
import os, select, socket, sys, time
IF = "eth0"
print("ready", flush=True)
def addresses():
    found = []
    for line in open("/proc/net/if_inet6"):
        address, _, plen, scope, flags, name = line.split()
        if name == IF:
            own = "EUI-64" if address[22:26] == "fffe" else "random"
            found.append((address[:16], own, int(plen, 16), scope, int(flags, 16)))
    return found
def routes():
    for line in open("/proc/net/ipv6_route"):
        dst, plen, _, _, gateway, metric, _, _, flags, name = line.split()
        if name == IF and int(flags, 16) & 0x40000:
            yield dst, int(plen, 16), gateway, flags
def source(to):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        try: s.connect((to, 9))
        except OSError: return "none"
        a = socket.inet_pton(socket.AF_INET6, s.getsockname()[0])
        return a[:8].hex() + (" EUI-64" if a[11:13] == b"\xff\xfe" else " random")
for line in sys.stdin:
    if line.startswith("send "):
        with open(f"/sys/class/net/{IF}/address") as f: print(f.read().strip() + "\nset", flush=True)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            while not select.select([sys.stdin], [], [], 0.1)[0]:
                try: s.sendto(b"x", (line.split()[1], 9))
                except OSError: pass
        sys.stdin.readline()
        print("end", flush=True)
        continue
    settings, wanted = line.split(";")
    for word in settings.split():
        name, value = word.split("=")
        with open(f"/proc/sys/net/ipv6/conf/{IF}/{name}", "w") as f: f.write(value)
    print("set", flush=True)
    sys.stdin.readline()
    def settled():
        flags = [a[4] for a in addresses() if a[3] == "00" and not a[4] & 0x44]
        with open(f"/proc/sys/net/ipv6/conf/{IF}/mtu") as f: mtu = int(f.read())
        return [len(flags), sum(f & 0x20 != 0 for f in flags), mtu] == [int(w) for w in wanted.split()]
    end = time.monotonic() + 30
    while not settled() and time.monotonic() < end: time.sleep(0.05)
    for a in sorted(addresses()): print("address", *a[:4], format(a[4] & ~0x44, "x"))
    for r in sorted(routes()): print("route", *r)
    with open(f"/proc/sys/net/ipv6/conf/{IF}/hop_limit") as f: print("hop limit", int(f.read()))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s: print("of a socket", s.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS))
    for to in "2001:db8:9::9", "2001:db8:1::9", "fd99::9": print("source for", to, source(to))
    print("end", flush=True)
'''


def advert(life=1800, pref=0, *options, hops=64):
    return struct.pack('!BBHBBHII', 134, 0, 0, hops, pref, life, 0, 0) + b''.join(options)


def prefix(text, valid=86400, preferred=14400, flags=0xc0):
    return struct.pack('!BBBBIII', 3, 4, 64, flags, valid, preferred, 0) + socket.inet_pton(socket.AF_INET6, text)


def route(text, plen, pref, life=1000):
    return struct.pack('!BBBBI', 24, 3, plen, pref, life) + socket.inet_pton(socket.AF_INET6, text)


# Settings; how many addresses there will be, and how many of them deprecated; which router says what.
LOW, HIGH, RESERVED = 0x18, 0x08, 0x10
STEPS = [
    ('temporary addresses, but not preferred', 'use_tempaddr=1', '2 0', (1, advert(1800, 0, prefix('2001:db8:1::')))),
    ('preferred ones', 'use_tempaddr=2', '4 0', (2, advert(1800, HIGH, prefix('2001:db8:2::')))),
    ('of each kind of address', '', '6 0', (3, advert(1800, LOW, prefix('fd99::')))),
    ('a lifetime that ends', '', '6 2', (1, advert(1800, RESERVED, prefix('2001:db8:2::', 86400, 0)))),
    ('no routes for prefixes', '', '6 2', (1, advert(1800, 0, route('2001:db8:9::', 48, HIGH)))),
    ('routes for prefixes', 'accept_ra_rt_info_max_plen=64', '6 2',
     (1, advert(1800, 0, route('2001:db8:9::', 48, HIGH), route('2001:db8:a::', 48, LOW), route('2001:db8:b::', 48, RESERVED), route('2001:db8:c::', 65, 0)))),
    ('no router any more', '', '6 2', (1, advert(0, 0, route('2001:db8:9::', 48, 0, 0)))),
    ('no prefixes, no addresses', 'accept_ra_pinfo=0', '6 2', (2, advert(1800, HIGH, prefix('2001:db8:3::')))),
    ('no temporary addresses, no routers', 'accept_ra_pinfo=1 use_tempaddr=0 accept_ra_defrtr=0', '7 2', (2, advert(0, HIGH, prefix('2001:db8:4::')))),
    ('a prefix, but no addresses', 'autoconf=0', '7 2', (2, advert(0, HIGH, prefix('2001:db8:5::')))),
    ('nothing', 'autoconf=1 accept_ra=0', '7 2', (2, advert(0, HIGH, prefix('2001:db8:6::')))),
    ('routers again', 'accept_ra=1 accept_ra_defrtr=1', '7 2', (2, advert(0))),
    ('none is left', '', '7 2', (3, advert(0))),
    ('one, preferred', '', '7 2', (4, advert(1800, HIGH))), # has its own interface, as the next one
    ('and another', '', '7 2', (5, advert(1800))),
    ('a hop limit', '', '7 2', (5, advert(1800, hops=77))),
    ('one too low', 'accept_ra_min_hop_limit=70', '7 2', (5, advert(1800, hops=69))),
    ('none said', '', '7 2', (5, advert(1800, hops=0))),
]
FAR = '2001:db8:77::9'


def sh(*words):
    r = subprocess.run(' '.join(words).split(), capture_output=True, text=True)
    return r.stderr.strip() if r.returncode != 0 else None


def twin():
    """Linux on the same bridge; None, or why there cannot be one."""
    inside = f'ip netns exec {TWIN}'
    return (sh('ip netns add', TWIN) or sh('ip link add eth0 netns', TWIN, 'type veth peer name port0') or sh('ip link set port0 master br0') or
            sh('ip link set port0 up') or sh(inside, 'ip link set lo up') or sh(inside, 'ip link set eth0 up'))


def start(argv):
    p = subprocess.Popen([*argv, '/usr/bin/python3', '-c', LOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    same(p.stdout.readline(), 'ready\n', f'{argv[0]} is ready')
    return p


def told(p, last):
    lines = []
    while lines[-1:] != [last + '\n']:
        lines.append(p.stdout.readline())
        if not lines[-1]:
            break
    return lines


def tell(both, line):
    for p in both:
        p.stdin.write(line + '\n')
        p.stdin.flush()


def send(router, message):
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as s:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        card = socket.if_nametoindex('br0' if router < 4 else f'r{router}')
        s.bind((f'fe80::{router}', 0, 0, card))
        s.sendto(message, ('ff02::1', 0, 0, card))


def step(both, mtu, what, settings, wanted, said):
    """The MTU, an option behind all others, tells that the message was heard."""
    heard = mtu if 'accept_ra=0' not in settings else mtu - 1
    tell(both, f'{settings};{wanted} {heard}')
    for p in both:
        same(told(p, 'set'), ['set\n'], 'settings')
    send(said[0], said[1] + struct.pack('!BBHI', 5, 1, 0, mtu))
    tell(both, '') # both look after both have heard
    drupe, linux = (told(p, 'end') for p in both)
    same(drupe, linux, what)


def own_interface(router):
    return (sh(f'ip link add r{router} type veth peer name p{router}') or sh(f'ip link set p{router} master br0 up') or sh(f'ip link set r{router} up') or
            sh(f'ip addr add fe80::{router}/64 dev r{router} nodad'))


def frames(router):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
    s.bind((f'r{router}', 0))
    s.settimeout(1)
    return s


def passes(router, senders, what):
    """Datagrams of all senders come by that router."""
    left, end = set(senders), time.monotonic() + 60
    with frames(router) as s:
        while left and time.monotonic() < end:
            try:
                frame = s.recv(2048)
            except TimeoutError:
                continue
            if frame[:6] == s.getsockname()[4] and frame[38:54] == socket.inet_pton(socket.AF_INET6, FAR):
                left.discard(frame[6:12])
    same(left, set(), what)


def silent_router(both):
    """RFC 4861 6.3.6: the preferred router does not answer, so the other one is asked; until it says where it is."""
    sh('ip addr del fe80::4/64 dev r4')
    tell(both, f'send {FAR}')
    senders = [bytes.fromhex(told(p, 'set')[0].replace(':', '')) for p in both]
    passes(5, senders, 'a router that does not answer is left for another')
    sh('ip addr add fe80::4/64 dev r4 nodad')
    with frames(4) as s:
        send(4, advert(1800, HIGH, struct.pack('!BB', 1, 1) + s.getsockname()[4]))
    passes(4, senders, 'it is asked again when it speaks')
    tell(both, '')
    for p in both:
        told(p, 'end')


def main():
    tap_network()
    why = (sh('ip link add br0 type bridge mcast_snooping 0') or sh('ip link set tap0 master br0') or next(filter(None, (sh(f'ip addr add fe80::{i}/64 dev br0 nodad') for i in (1, 2, 3))), None) or
           sh('ip link set br0 up') or own_interface(4) or own_interface(5) or twin())
    if why:
        check(True, f'no Linux beside Drupe here: {why} # SKIP')
        done()
    try:
        both = [start([DRUPE, 'run', *ON, '--net', 'tap:tap0', '--ip', '10.86.0.2/24']), start(['ip', 'netns', 'exec', TWIN])]
        for i, s in enumerate(STEPS):
            step(both, 1400 + i, *s)
        silent_router(both)
        for p in both:
            p.stdin.close()
            same(p.wait(60), 0, 'a clean end')
    finally:
        sh('ip netns del', TWIN)
    done()


if __name__ == '__main__':
    main()
