#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's memcached with its threads."""
import socket

from lib import check, done, free_port, same, server, stop, talk

port = free_port()
with server('-p', f'{port}:11211', 'memcached', '-u', 'root', ready=lambda: talk(port, b'version\r\n')) as p:
    same(talk(port, b'set k 0 0 5\r\nhello\r\n'), b'STORED\r\n', 'set')
    same(talk(port, b'get k\r\n', b'END\r\n'), b'VALUE k 0 5\r\nhello\r\nEND\r\n', 'get')
    conns = [socket.create_connection(('127.0.0.1', port), 60) for _ in range(40)]
    good = 0
    for round in range(20):
        for i, c in enumerate(conns):
            c.sendall(b'set k%d 0 0 4\r\n%04d\r\n' % (i, round))
        good += sum(c.recv(100) == b'STORED\r\n' for c in conns)
    same(good, 800, '40 connections at once')
    for c in conns:
        c.close()
    check(b'threads 4' in talk(port, b'stats\r\n', b'END\r\n'), 'it runs its four threads')
    check(stop(p) in (0, 130), '^C stops it')
done()
