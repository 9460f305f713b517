#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--allow, --allow-from, --egress: what passes and what does not, over TAP in a namespace and through the user network:
firewall.py DRUPE BUILD --on WHERE"""
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'apps'))
from lib import DRUPE, ON, check, done, drupe, free_port, same, tap_network, until  # noqa: E402

HOST4, OTHER4, WORLD4, GUEST4, HOST6, GUEST6 = '10.79.0.1', '10.79.0.9', '192.0.2.1', '10.79.0.2', 'fd79::1', 'fd79::2'
PYTHON, SILENCE = '/usr/bin/python3', 0.4

# In the instance: TCP servers that answer a question on 8080, 8081, 8082; UDP echoes on 5300, 5301. What is asked on 8080 is done.
INSIDE = r'''
import errno, os, select, socket, threading
def listen(port):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port)); s.listen()
    return s
def bind(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("::", port))
    return s
def connect(host, port):
    with socket.create_connection((host, int(port)), 30) as s: return s.recv(100).decode()
def inner(host, port):
    with socket.create_connection((host, int(port)), 30) as s:
        s.sendall(b"hello")
        return s.recv(100).decode()
def datagram(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"question", (host, int(port)))
        s.settimeout(30)
        return s.recv(100).decode()
def ephemeral(host, port):
    global kept
    kept = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    kept.sendto(b"question", (host, int(port)))
    return str(kept.getsockname()[1])
def kept_recv(seconds):
    kept.settimeout(float(seconds))
    return kept.recv(100).decode()
def ping(host):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) as s:
        s.sendto(bytes((8, 0, 0xf7, 0xff, 0, 0, 0, 0)), (host, 0))
        s.settimeout(30)
        return str(s.recv(100)[20])
def GET(*_):
    return "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ncurl"
def counters():
    return open("/proc/net/drupe").read()
def serve(s, port):
    while True:
        c, _ = s.accept()
        words = c.recv(1000).decode().split()
        try: answer = globals()[words[0]](*words[1:]) if port == 8080 and words[0] != "hello" else "hello from %d" % port
        except OSError as e: answer = "timeout" if isinstance(e, TimeoutError) else errno.errorcode[e.errno]
        c.sendall(answer.encode()); c.close()
for port in (8080, 8081, 8082):
    threading.Thread(target=serve, args=(listen(port), port)).start()
echoes = [bind(5300), bind(5301)]
print("ready", flush=True)
while True:
    for s in select.select(echoes, [], [])[0]:
        data, who = s.recvfrom(1000)
        try: s.sendto(data, who)
        except OSError as e: print(e, flush=True)
'''


def ask(text, host=GUEST4, port=8080, source='', timeout=60.0):
    with socket.create_connection((host, port), timeout, (source, 0)) as s:
        s.sendall(text.encode())
        s.settimeout(60)
        got = b''
        while part := s.recv(65536):
            got += part
        return got.decode()


def outcome(fn, *args, **kw):
    try:
        return fn(*args, **kw)
    except TimeoutError:
        return 'silence'
    except OSError as e:
        return type(e).__name__


def echo(host, port, timeout):
    with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect((host, port))
        s.send(b'echo')
        return s.recv(100).decode()


def ping(host):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.sendto(bytes((8, 0, 0xf7, 0xff, 0, 0, 0, 0)), (host, 0))
        s.settimeout(60)
        return s.recv(100)[20]


def counter(name):
    return dict(line.split() for line in ask('counters').splitlines())[name]


@contextlib.contextmanager
def instance(*options, name='firewall'):
    p = subprocess.Popen([DRUPE, 'run', *ON, '-V', '--name', f'{name}-{os.getpid()}', *options, PYTHON, '-c', INSIDE],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = []
    reader = threading.Thread(target=lambda: said.extend(p.stderr))
    reader.start()
    try:
        if p.stdout.readline() != 'ready\n':
            p.wait(60)
            reader.join()
            raise RuntimeError('not ready: ' + ''.join(said[-30:]))
        p.said = said
        yield p
    finally:
        p.terminate() # its TAP is free when it has ended
        p.wait()
        p.stdout.close()
        reader.join()


def servers():
    """What the instance reaches: ports 9000 and 9001 of this side, both protocols and families."""
    def tcp(s):
        while True:
            c, _ = s.accept()
            c.sendall(b'from outside')
            c.close()

    def udp(s):
        while True:
            s.sendto(b'answer', s.recvfrom(100)[1])

    for port in (9000, 9001):
        for kind, work in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
            s = socket.socket(socket.AF_INET6, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('::', port))
            if kind == socket.SOCK_STREAM:
                s.listen()
            threading.Thread(target=work, args=(s,), daemon=True).start()


TAP = ['--net', 'tap:tap0', '--ip', GUEST4 + '/24', '--ip', GUEST6 + '/64']


def ingress():
    with instance(*TAP, '--allow', 'tcp:8080', '--allow', 'udp:5300', '--allow', f'tcp:8082@{OTHER4}/32') as p:
        same(ask('hello'), 'hello from 8080', 'an allowed port is open')
        same(ask('hello', host=GUEST6), 'hello from 8080', 'over IPv6, too')
        r = subprocess.run(['curl', '-s', '-m', '60', f'http://{GUEST4}:8080/'], capture_output=True, text=True)
        same((r.returncode, r.stdout), (0, 'curl'), 'curl is answered')
        before = int(counter('filter_in_tcp'))
        same(outcome(ask, 'hello', port=8081, timeout=SILENCE), 'silence', 'another is not there, listened to or not')
        same(outcome(ask, 'hello', port=8099, timeout=SILENCE), 'silence', 'and so is one that nobody listens to')
        same(outcome(ask, 'hello', host=GUEST6, port=8081, timeout=SILENCE), 'silence', 'over IPv6, too')
        check(int(counter('filter_in_tcp')) >= before + 3, 'each is counted', counter('filter_in_tcp'))
        same(echo(GUEST4, 5300, 60), 'echo', 'an allowed port of UDP')
        before = int(counter('filter_in_udp'))
        same(outcome(echo, GUEST4, 5301, SILENCE), 'silence', 'and another')
        same(outcome(echo, GUEST6, 5301, SILENCE), 'silence', 'over IPv6, too')
        same(int(counter('filter_in_udp')), before + 2, 'are counted')
        same(ask('hello', port=8082, source=OTHER4), 'hello from 8082', 'a port that is open to one address')
        same(outcome(ask, 'hello', port=8082, source=HOST4, timeout=SILENCE), 'silence', 'is open to that alone')
        same(ping(GUEST4), 0, 'echo requests are answered')
        same(ask(f'connect {HOST4} 9000'), 'from outside', 'what the program begins is answered')
        same(ask(f'connect {HOST6} 9001'), 'from outside', 'over IPv6, too')
        same(ask(f'datagram {HOST4} 9000'), 'answer', 'a datagram, too')
        same(ask(f'datagram {HOST6} 9000'), 'answer', 'over IPv6')
        same(ask(f'ping {HOST4}'), '0', 'and an echo request')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            asked.bind((HOST4, 0))
            port = int(ask(f'ephemeral {HOST4} {asked.getsockname()[1]}'))
            other.sendto(b'forged', (GUEST4, port))
            same(ask(f'kept_recv {SILENCE}'), 'timeout', 'who was not asked is not heard')
            asked.sendto(b'answered', (GUEST4, port))
            same(ask('kept_recv 60'), 'answered', 'who was asked is')
        state = json.loads(subprocess.run([DRUPE, 'inspect', f'firewall-{os.getpid()}'], capture_output=True, text=True).stdout)[0]
        same((state['Allow'], state['Egress']), (['tcp:8080', 'udp:5300', f'tcp:8082@{OTHER4}/32'], ['any']), 'drupe inspect shows it')
        check(any(f'open from outside: tcp:8080 udp:5300 tcp:8082@{OTHER4}/32' in line for line in p.said) and
              any('open to the outside: everything' in line for line in p.said), 'and -V', p.said)


def reasons():
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, 'p.pcapng')
        with instance(*TAP, '--allow', 'tcp:8080@10.79.0.0/24', '--pcap', path):
            ask('hello')
            outcome(ask, 'hello', port=8081, timeout=SILENCE)
            def seen():
                with open(path, 'rb') as f:
                    return b'filter_in_tcp' in f.read()

            check(until(seen), 'packets that are dropped say why in drupe pcap')


def closed():
    with instance(*TAP):
        same(outcome(ask, 'hello', timeout=SILENCE), 'silence', 'without --allow nothing is open')
        same(outcome(echo, GUEST4, 5300, SILENCE), 'silence', 'nor of UDP')
    with instance(*TAP, '--allow', 'all'):
        same((ask('hello', port=8081), echo(GUEST6, 5301, 60)), ('hello from 8081', 'echo'), '--allow all: everything is')
    with instance(*TAP, '--allow', 'all', '--allow-from', OTHER4, '--allow-from', 'fd79::/64'):
        same(outcome(ask, 'hello', timeout=SILENCE), 'silence', '--allow-from: not for others')
        same((ask('hello', source=OTHER4), ask('hello', host=GUEST6)), ('hello from 8080',) * 2, 'for these, yes')


def egress():
    with instance(*TAP, '--allow', 'tcp:8080', '--allow', 'udp:5300', '--egress', f'{HOST4}/32:9000,udp:[{HOST6}/128]:9001'):
        same(ask(f'connect {HOST4} 9000'), 'from outside', '--egress: where the program may go')
        same(ask(f'connect {HOST4} 9001'), 'EPERM', 'another port')
        same(ask(f'connect {OTHER4} 9000'), 'EPERM', 'another address')
        same(ask(f'datagram {HOST4} 9000'), 'answer', 'datagrams, too')
        same(ask(f'datagram {HOST4} 9001'), 'EPERM', 'to another port')
        same((ask(f'datagram {HOST6} 9001'), ask(f'connect {HOST6} 9001')), ('answer', 'EPERM'), 'of one protocol alone')
        same(ask(f'ping {HOST4}'), 'EPERM', 'a raw socket needs a rule without ports')
        same(echo(GUEST4, 5300, 60), 'echo', 'who is let in gets answers')
        same(int(counter('filter_out')), 5, 'what was refused is counted')
    with instance(*TAP, '--allow', 'tcp:8080', '--egress', 'none'):
        same((ask(f'connect {HOST4} 9000'), ask('inner ::1 8081'), ask('inner 127.0.0.1 8081')),
             ('EPERM', 'hello from 8081', 'hello from 8081'), '--egress none: itself alone')


def user():
    tcp, udp = free_port(), free_port()
    with instance('-p', f'{tcp}:8080', '-p', f'{udp}:5300/udp', '--allow-from', WORLD4,
                  '--egress', f'{WORLD4}:9000', name='user'):
        same(ask('hello', WORLD4, tcp), 'hello from 8080', 'user network: --allow-from')
        check(outcome(ask, 'hello', '127.0.0.1', tcp) in ('', 'ConnectionResetError'), 'others are hung up on')

        same((outcome(echo, '127.0.0.1', udp, SILENCE), echo(WORLD4, udp, 60)), ('silence', 'echo'), 'datagrams, too')
        same([ask(f'{what} {WORLD4} {port}', WORLD4, tcp) for what, port in
              (('connect', 9000), ('connect', 9001), ('datagram', 9000), ('datagram', 9001))],
             ['from outside', 'EPERM', 'answer', 'EPERM'], '--egress')


def options():
    for args, text in ((['--allow', '443'], '--allow 443: say'), (['--allow', 'tcp:0'], 'tcp:PORT'), (['--allow', 'tcp:9-3'], 'tcp:PORT'),
                       (['--allow', 'tcp:1@10.0.0.0/33'], '--allow tcp:1@'), (['--allow-from', 'here'], '--allow-from here: say'),
                       (['--egress', '10.0.0.0/8:x'], '--egress 10.0.0.0/8:x: say'), (['--egress', 'fe80::/8:1,'], '--egress'),
                       (['--allow', 'tcp:80'], 'say -p HOST:PORT'), (['--allow-from', '10.0.0.0/8'], 'nothing is open'),
                       (['--net', 'none', '--egress', 'none'], 'no network')):
        status, _, err = drupe(*args, '/bin/true')
        check(status == 125 and text in err, f'{" ".join(args)}: refused', err)


def main():
    tap_network(f'{HOST4}/24 dev tap0', f'{OTHER4}/24 dev tap0', f'{HOST6}/64 dev tap0 nodad', f'{WORLD4}/32 dev lo')
    servers()
    for part in (ingress, reasons, closed, egress, user, options):
        part()
    done()


main()
