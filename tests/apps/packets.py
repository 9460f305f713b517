#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--pcap and drupe pcap: what tcpdump and, through a pipe, tshark read of an instance's packets."""
import os
import re
import socket
import subprocess
import tempfile

from lib import DRUPE, ON, check, done, drupe, free_port, same, until


SYN = 'tcp[tcpflags] & tcp-syn != 0 and dst port 6379 and tcp[tcpflags] & tcp-ack = 0'


def tcpdump(path, *args):
    return subprocess.run(['tcpdump', '-n', '-r', path, *args], capture_output=True, text=True).stdout.splitlines()


def answers(port):
    with socket.create_connection(('127.0.0.1', port), timeout=30) as s:
        s.sendall(b'PING\r\n')
        return s.recv(100) == b'+PONG\r\n'


def holds(path, words):
    with open(path, 'rb') as f:
        return words in f.read()


with tempfile.TemporaryDirectory() as tmp:
    path = os.path.join(tmp, 'first.pcapng')
    status, out, err = drupe('--pcap', path, '/usr/bin/curl', '-s', '-m', '60', 'http://10.0.2.2:1/')
    lines = tcpdump(path)
    check(status == 7 and len(lines) >= 4 and 'ARP' in lines[0] and re.search(r'10\.0\.2\.15\.\d+ > 10\.0\.2\.2\.1: Flags \[S\]', '\n'.join(lines)),
          '--pcap: from the first packet to the last', (status, lines, err))
    same(drupe('--pcap', '/nowhere/file', '/bin/true')[0], 125, '--pcap: a file that cannot be made')
    check('--pcap /dev/full' in drupe('--pcap', '/dev/full', '/usr/bin/curl', '-s', '-m', '60', 'http://10.0.2.2:1/')[2], '--pcap: a full disk')
    status, out, err = drupe('--net', 'none', '--pcap', path, '/bin/true')
    check(status == 125 and '--net none' in err, '--pcap without a network', err)

    name, tcp, udp = f'packets-{os.getpid()}', free_port(), free_port()
    subprocess.run([DRUPE, 'run', '-d', *ON, '--name', name, '-p', f'127.0.0.1:{tcp}:6379', '-p', f'127.0.0.1:{udp}:77/udp',
                    'redis-server', '--save', '', '--protected-mode', 'no'], check=True, capture_output=True, timeout=120)
    until(lambda: answers(tcp))
    path = os.path.join(tmp, 'live.pcapng')

    def unwanted():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b'nobody listens', ('127.0.0.1', udp))

    with open(os.path.join(tmp, 'tshark'), 'w+') as seen:
        p = subprocess.Popen([DRUPE, 'pcap', name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        shark = subprocess.Popen(['tshark', '-l', '-n', '-i', '-', '-T', 'fields', '-e', 'udp.dstport', '-e', 'frame.comment'], stdin=p.stdout, stdout=seen, stderr=subprocess.DEVNULL,
                                 env=dict(os.environ, HOME=tmp))
        check(until(lambda: unwanted() or re.search(r'^77\t.*udp_no_port', os.pread(seen.fileno(), 1 << 20, 0).decode(), re.M)), 'tshark shows, live, why something was not delivered')
        p.terminate()
        p.wait()
        p.stdout.close()
        same(shark.wait(60), 0, 'and ends with drupe pcap')

    def capture():
        """drupe pcap that has packets; the one before it may still be leaving."""
        p = None

        def sees():
            nonlocal p
            if p is None or p.poll() == 125:
                p = subprocess.Popen([DRUPE, 'pcap', '-w', path, name], stderr=subprocess.DEVNULL)
            return answers(tcp) and holds(path, b'PONG') and p.poll() is None

        until(sees)
        return p

    for turn in range(2):
        p = capture()
        before = len(tcpdump(path, SYN))
        good = sum(answers(tcp) for _ in range(20))
        unwanted()
        until(lambda: holds(path, b'udp_no_port'))
        if turn == 0:
            p.terminate()
            p.wait()
            os.unlink(path)
            continue
        busy = subprocess.run([DRUPE, 'pcap', '-w', '/dev/null', name], capture_output=True, text=True, timeout=120)
        check(busy.returncode == 125 and 'another client' in busy.stderr, 'a second one is told', busy)
        subprocess.run([DRUPE, 'stop', name], capture_output=True, timeout=120)
        same(p.wait(timeout=120), 0, 'it ends with the instance')
    same(good, 20, 'the program is served meanwhile')
    same(len(tcpdump(path, SYN)) - before, 20, 'each connection')
    check(len(tcpdump(path, 'tcp[tcpflags] & tcp-fin != 0')) >= 40, 'to its end, from both sides')
    check(holds(path, b'udp_no_port'), 'what was not delivered says why')
    subprocess.run([DRUPE, 'rm', '-f', name], capture_output=True, timeout=120)
done()
