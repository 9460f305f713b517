#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TCP Fast Open between Drupe and Linux, both ways round, over TAP in a namespace: fastopen.py DRUPE BUILD --on WHERE"""
import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'apps'))
from lib import DRUPE, ON, done, same, tap_network  # noqa: E402

HOST4, GUEST4 = '10.80.0.1', '10.80.0.2'
TALK = r'''
import socket, struct
FASTOPEN, MSG_FASTOPEN, SYN_DATA = 23, 0x20000000, 32
def fast(s):
    """Was data of its SYN taken?"""
    return bool(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & SYN_DATA)
def serve(port, n):
    """Answer n questions: whether each came with its SYN."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    s.setsockopt(socket.IPPROTO_TCP, FASTOPEN, 5)
    s.listen()
    yield "ready"
    for _ in range(n):
        c, _ = s.accept()
        data = c.recv(10000)
        c.sendall(data[::-1])
        yield fast(c)
        c.close()
    s.close()
def ask(host, port, size):
    """One question with MSG_FASTOPEN: its answer is right, and it went with the SYN."""
    question = bytes(i % 251 for i in range(size))
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 60, 0))
        s.sendto(question, MSG_FASTOPEN, (host, port))
        got = b""
        while len(got) < size:
            more = s.recv(10000)
            if not more: break
            got += more
        return got == question[::-1], fast(s)
def ask_connected(host, port):
    """The same with TCP_FASTOPEN_CONNECT."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 60, 0))
        s.setsockopt(socket.IPPROTO_TCP, 30, 1)
        s.connect((host, port))
        s.sendall(b"abc")
        return s.recv(100) == b"cba", fast(s)
'''
SERVER = TALK + r'''
open("/proc/sys/net/ipv4/tcp_fastopen", "w").write("3\n")
print(open("/proc/sys/net/ipv4/tcp_fastopen").read(), end="", flush=True)
for word in serve(9000, 4): print(word, flush=True)
'''
CLIENT = TALK + r'''
for size in (100, 100, 1000): print(*ask("%s", 9000, size))
print(*ask_connected("%s", 9000))
''' % (HOST4, HOST4)
exec(TALK)


def drupe(program, *more):
    return subprocess.Popen([DRUPE, 'run', *ON, '--net', 'tap:tap0', '--ip', GUEST4 + '/24', *more, '/usr/bin/python3', '-c', program],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def to_drupe():
    p = drupe(SERVER, '--allow', 'tcp:9000')
    same([p.stdout.readline() for _ in range(2)], ['3\n', 'ready\n'], 'a server with TCP_FASTOPEN')
    answers = [ask(GUEST4, 9000, size) for size in (100, 100, 1000)] + [ask_connected(GUEST4, 9000)]  # noqa: F821
    same(answers, [(True, False), (True, True), (True, True), (True, True)], 'Linux gets a cookie, then sends data with its SYN')
    same(p.communicate(timeout=100)[0].split(), ['False', 'True', 'True', 'True'], 'and Drupe takes it')


def from_drupe():
    seen = []
    server = serve(9000, 4)  # noqa: F821
    next(server)
    thread = threading.Thread(target=lambda: seen.extend(server), daemon=True)
    thread.start()
    out = drupe(CLIENT).communicate(timeout=100)[0]
    same(out.splitlines(), ['True False', 'True True', 'True True', 'True True'], 'Drupe gets a cookie, then sends data with its SYN')
    thread.join(60)
    same(seen, [False, True, True, True], 'and Linux takes it')


def main():
    tap_network(f'{HOST4}/24 dev tap0')
    with open('/proc/sys/net/ipv4/tcp_fastopen', 'w') as f:
        f.write('3')
    to_drupe()
    from_drupe()
    done()


main()
