#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packet sockets: Debian's tcpdump inside, and frames that a program makes, over TAP in a namespace: sniff.py DRUPE BUILD --on WHERE"""
import os
import re
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'apps'))
from lib import DRUPE, ON, check, done, same, tap_network  # noqa: E402

HOST4, GUEST4 = '10.81.0.1', '10.81.0.2'
NET = ['--net', 'tap:tap0', '--ip', GUEST4 + '/24']
FRAMES = r'''
import socket, struct, sys
def sum16(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
raw.bind(("eth0", 0x0806))
mac = raw.getsockname()[4]
me, to = socket.inet_aton("ME"), socket.inet_aton("TO")
try:
    raw.send(b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x800, 6, 4, 1) + mac + me + bytes(6) + to)
    raw.settimeout(60)
    while True:
        frame, name = raw.recvfrom(2000)
        if frame[20:22] == b"\0\2": break
    there = frame[22:28]
    print("arp", name[1] == 0x0806, name[2], name[4] == there)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 33, 1, 0, 64, 17, 0, me, to)
    udp = struct.pack("!HHHH", 1, 7778, 13, 0) + b"forge"
    raw.send(there + mac + b"\x08\0" + head[:10] + struct.pack("!H", sum16(head)) + head[12:] + udp)
except OSError as e: print(e.errno)
'''.replace('ME', GUEST4).replace('TO', HOST4)


def drupe(*argv):
    return subprocess.Popen([DRUPE, 'run', *ON, *NET, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def tcpdump():
    p = drupe('--allow', 'udp:7777', 'tcpdump', '-c', '3', '-nn', '-i', 'eth0', '-Z', 'root', '-l', 'udp port 7777')
    lines = []
    for line in p.stderr:
        lines.append(line)
        if 'listening on' in line:
            break
    stop = threading.Event()

    def talk():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while not stop.is_set():
                s.sendto(b'no', (GUEST4, 7776))
                s.sendto(b'hello', (GUEST4, 7777))
                stop.wait(0.1)
    t = threading.Thread(target=talk)
    t.start()
    try:
        out, err = p.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
    stop.set()
    t.join()
    seen = re.findall(rf'IP {re.escape(HOST4)}\.\d+ > {re.escape(GUEST4)}\.7777: UDP, length 5', out)
    check(len(seen) == 3 and len(out.splitlines()) == 3, 'tcpdump with a filter', (out, err, lines))
    check('3 packets captured' in err and '0 packets dropped' in err, 'and its statistics', err)


def frames():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((HOST4, 7778))
        s.settimeout(60)
        out, err = drupe('/usr/bin/python3', '-c', FRAMES).communicate(timeout=100)
        same(out, 'arp True 0 True\n', 'a frame of a program is answered')
        same(s.recv(100), b'forge', 'and one with IP in it arrives')
    out, err = drupe('--egress', HOST4, '/usr/bin/python3', '-c', FRAMES).communicate(timeout=100)
    same(out, '1\n', '--egress: frames are refused')


def main():
    tap_network(f'{HOST4}/24 dev tap0')
    tcpdump()
    frames()
    done()


main()
