#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TAP interface with several queues: a pair of them for each CPU, and every byte comes through on connections that all CPUs serve."""
import socket
import threading

from lib import MACHINES, check, done, same, server, tap_network

SERVER = '''
import socket, threading
def serve():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("", 8000))
    s.listen(64)
    while True:
        c = s.accept()[0]
        while (d := c.recv(100)):
            c.sendall(d * 500)
        c.close()
for _ in range(3):
    threading.Thread(target=serve).start()
serve()
'''
CLIENTS, CONNECTIONS, REQUESTS = 6, 8, 5


def one_connection(tag):
    with socket.create_connection(('192.0.2.2', 8000), 60) as c:
        for k in range(REQUESTS):
            sent = b'%02d %03d' % (tag, k)
            c.sendall(sent)
            got = b''
            while len(got) < 500 * len(sent):
                part = c.recv(65536)
                if not part:
                    return False
                got += part
            if got != sent * 500:
                return False
    return True


def client(tag, good):
    for _ in range(CONNECTIONS):
        good.append(one_connection(tag))


def main():
    tap_network('192.0.2.1/24 dev tap0', mode='tap multi_queue')
    for machine, options in MACHINES:
        for cpus in (2, 1):
            log = []
            try:
                with server('-V', *options, '--cpus', cpus, '--net', 'tap:tap0', '--ip', '192.0.2.2/24', '--allow', 'tcp:8000', '/usr/bin/python3', '-c', SERVER,
                            ready=lambda: one_connection(0), timeout=180) as p:
                    reader = threading.Thread(target=lambda: log.append(p.stdout.read().decode(errors='replace')))
                    reader.start()
                    good = []
                    clients = [threading.Thread(target=client, args=(tag, good)) for tag in range(CLIENTS)]
                    for c in clients:
                        c.start()
                    for c in clients:
                        c.join()
                    p.kill()
                    reader.join()
                same(good, [True] * (CLIENTS * CONNECTIONS), f'{machine}, {cpus} CPUs: every byte of every connection')
            except RuntimeError as e:
                check(False, f'{machine}, {cpus} CPUs: serves', e)
                continue
            same('2 pairs of queues' in log[0], cpus == 2, f'{machine}, {cpus} CPUs: a pair of queues for each')
    done()


main()
