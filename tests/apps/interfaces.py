#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What programs are told of interfaces, addresses and routes: Debian's ip, whose words are compared with those about the host, and python3."""
import json
import re
import subprocess

from lib import check, done, drupe, same

IP = '/usr/sbin/ip'


def ip(*args):
    status, out, err = drupe(IP, '-j', *args)
    try:
        return json.loads(out) if status == 0 else err
    except ValueError as e:
        return f'{e}: {out!r}'


def interfaces():
    found = ip('addr')
    if not check_list(found, 'ip addr'):
        return
    same([i['ifname'] for i in found], ['lo', 'eth0'], 'ip addr: the interfaces')
    host = json.loads(subprocess.check_output([IP, '-j', 'addr', 'show', 'dev', 'lo']))[0]
    lo, eth0 = found
    same(set(lo) - {'txqlen'}, set(host) - {'txqlen'}, 'ip addr: lo has the fields that it has on the host')
    same({k: lo[k] for k in ('ifindex', 'flags', 'link_type', 'address', 'broadcast', 'operstate')},
         {k: host[k] for k in ('ifindex', 'flags', 'link_type', 'address', 'broadcast', 'operstate')}, 'ip addr: and their values')
    same(lo['addr_info'][0], next(a for a in host['addr_info'] if a['local'] == '127.0.0.1'), 'ip addr: 127.0.0.1 as on the host')
    same(eth0['operstate'], 'UP', 'ip addr: the card is up')
    v4 = [a for a in eth0['addr_info'] if a['family'] == 'inet']
    same([(a['local'], a['prefixlen'], a['broadcast'], a['scope']) for a in v4], [('10.0.2.15', 24, '10.0.2.255', 'global')],
         'ip addr: the card has its address')
    check(any(a['family'] == 'inet6' and a['scope'] == 'link' for a in eth0['addr_info']), 'ip addr: and a link-local one', eth0)
    one = ip('-s', 'link', 'show', 'dev', 'eth0')
    check(check_list(one, 'ip link') and 'packets' in one[0]['stats64']['rx'], 'ip -s link: one interface, with its counters', one)


def check_list(found, text):
    check(isinstance(found, list) and found, text + ': an answer', found)
    return isinstance(found, list) and bool(found)


def routes():
    found = ip('route')
    if check_list(found, 'ip route'):
        same([(r['dst'], r.get('gateway'), r['dev']) for r in found], [('default', '10.0.2.2', 'eth0'), ('10.0.2.0/24', None, 'eth0')],
             'ip route: the default route and the link')
    found = ip('route', 'get', '192.0.2.1')
    if check_list(found, 'ip route get'):
        same((found[0]['gateway'], found[0]['prefsrc']), ('10.0.2.2', '10.0.2.15'), 'ip route get: gateway and source')
    found = ip('route', 'get', '127.0.0.1')
    if check_list(found, 'ip route get 127.0.0.1'):
        same((found[0]['type'], found[0]['dev']), ('local', 'lo'), 'ip route get: this host')


def refusals():
    status, _, err = drupe(IP, 'route', 'add', '192.0.2.0/24', 'via', '10.0.2.2')
    check(status not in (0, 'timeout') and 'not supported' in err, 'ip route add is refused', err)


def libraries():
    code = 'import socket; print(socket.if_nameindex()); print(socket.getaddrinfo("127.0.0.1", 80, flags=socket.AI_ADDRCONFIG)[0][4])'
    status, out, err = drupe('/usr/bin/python3', '-c', code, timeout=120)
    same((status, out.decode().splitlines()), (0, ["[(1, 'lo'), (2, 'eth0')]", "('127.0.0.1', 80)"]), 'python3: if_nameindex, getaddrinfo')


SS = '''
import socket, subprocess
l = socket.create_server(('127.0.0.1', 5555), backlog=7)
c = socket.create_connection(('127.0.0.1', 5555))
a, _ = l.accept()
c.sendall(b'abc')
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(('::1', 777))
x = socket.socket(socket.AF_UNIX); x.bind(chr(0) + 'a name'); x.listen(3)
for args in '-tanpi', '-Htn state established dport = :5555', '-Htn src 192.0.2.0/24', '-Huan', '-Hxlp', '-s':
    print('#' + subprocess.run(['/bin/ss', *args.split()], stdout=-1, stderr=-2, text=True).stdout, end='', flush=True)
'''


def sockets():
    status, out, err = drupe('--add', '/bin/ss', '/usr/bin/python3', '-c', SS, timeout=120)
    found = out.decode().split('#')
    check(status == 0 and len(found) == 7, 'ss runs', (status, out, err))
    if len(found) != 7:
        return
    lines = found[1].splitlines()
    check(re.search(r'LISTEN +0 +7 +127.0.0.1:5555 +0.0.0.0:\* +users:\(\("python3",pid=1,fd=3\)\)', lines[1]) and
          re.search(r'ESTAB +3 +0 +127.0.0.1:5555 .*fd=5', found[1]) and 'bytes_received:3' in found[1], 'ss -tanpi: states, queues, programs, TCP_INFO', found[1])
    check(len(found[2].splitlines()) == 1 and '127.0.0.1:5555' in found[2], 'ss with a condition', found[2])
    same(found[3], '', 'ss with another one')
    check(re.fullmatch(r'UNCONN +0 +0 +\[::1\]:777 +\[::\]:\*\s*', found[4]), 'ss -uan', found[4])
    check(re.search(r'u_str LISTEN +0 +3 +@a name +\d+ +\* 0 +users', found[5]), 'ss -x', found[5])
    check(re.search(r'\nUDP\s+1\s+0\s+1\s+\nTCP\s+3\s+3\s+0', found[6]), 'ss -s', found[6])


interfaces()
routes()
refusals()
libraries()
sockets()
done()
