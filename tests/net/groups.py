#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Groups as a switch hears of them: a bridge of Linux that snoops IGMP and MLD, and asks: groups.py DRUPE BUILD --on WHERE"""
import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'apps'))
from lib import DRUPE, ON, check, done, same, tap_network, until  # noqa: E402

HOST4, GUEST4, HOST6, GUEST6 = '10.84.0.1', '10.84.0.2', 'fd84::1', 'fd84::2'
GROUP4, GROUP6, PORT = '239.1.2.3', 'ff15::1:23', 7070
MEMBER = r'''
import socket, sys
four, six = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
four.bind(("", 7070)); six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1); six.bind(("::", 7070))
request4 = socket.inet_aton("GROUP4") + socket.inet_aton("GUEST4")
request6 = socket.inet_pton(socket.AF_INET6, "GROUP6") + socket.if_nametoindex("eth0").to_bytes(4, sys.byteorder)
def both(a, b):
    four.setsockopt(socket.IPPROTO_IP, a, request4); six.setsockopt(socket.IPPROTO_IPV6, b, request6)
both(socket.IP_ADD_MEMBERSHIP, socket.IPV6_JOIN_GROUP)
print("joined", flush=True)
for s in four, six: print(s.recv(100).decode(), flush=True)
sys.stdin.readline()
both(socket.IP_DROP_MEMBERSHIP, socket.IPV6_LEAVE_GROUP)
print("left", flush=True)
sys.stdin.readline()
'''.replace('GROUP4', GROUP4).replace('GUEST4', GUEST4).replace('GROUP6', GROUP6)


def ip(*words):
    r = subprocess.run(['ip', *' '.join(words).split()], capture_output=True, text=True)
    return r.stderr.strip() if r.returncode != 0 else None


def known():
    """Groups with members behind tap0, as the bridge has heard."""
    out = json.loads(subprocess.run(['bridge', '-j', 'mdb', 'show'], capture_output=True, text=True).stdout or '[]')
    return {e['grp'] for d in out for e in d.get('mdb', []) if e['port'] == 'tap0'}


def main():
    tap_network()
    why = (ip('link add br0 type bridge mcast_snooping 1 mcast_querier 1 mcast_last_member_interval 20') or ip('link set tap0 master br0') or
           ip(f'addr add {HOST4}/24 dev br0') or ip(f'addr add {HOST6}/64 dev br0 nodad') or ip('link set br0 up'))
    if why:
        check(True, f'no bridge that snoops here: {why} # SKIP')
        done()
    for route in (f'{GROUP4}/32', f'{GROUP6}/128 table local'):
        ip(f'route add {"multicast " if ":" in route else ""}{route} dev br0')
    p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'tap:tap0', '--ip', GUEST4 + '/24', '--ip', GUEST6 + '/64', '--allow', f'udp:{PORT}',
                          '/usr/bin/python3', '-c', MEMBER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    limit = threading.Timer(120, p.kill) # then a line that does not come is an empty one
    limit.start()
    same(p.stdout.readline(), 'joined\n', 'a program joins')
    check(until(lambda: {GROUP4, GROUP6} <= known()), 'the bridge heard of both groups', known())
    check(any(g.startswith('ff02::1:ff') for g in known()), 'and of the solicited group of an address', known())
    for family, group in ((socket.AF_INET, GROUP4), (socket.AF_INET6, GROUP6)):
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.setsockopt(*((socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HOST4)) if family == socket.AF_INET else
                           (socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex('br0'))))
            s.sendto(group.encode(), (group, PORT))
        same(p.stdout.readline(), group + '\n', f'a datagram to {group} gets there')
    p.stdin.write('\n')
    p.stdin.flush()
    same(p.stdout.readline(), 'left\n', 'it leaves')
    check(until(lambda: not {GROUP4, GROUP6} & known()), 'the bridge asked, and forgot both', known())
    p.communicate('\n')
    limit.cancel()
    same(p.returncode, 0, 'it ends')
    done()


main()
