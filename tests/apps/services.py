#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every service of a running kernel under load: clients that come and go, send garbage, half messages, lengths that are none, that stop reading or
vanish. Each is dropped with a reason, the program answers as before, and nothing stays behind: services.py DRUPE BUILD --on PLATFORM [ROUNDS]"""
import contextlib
import os
import pathlib
import re
import struct
import subprocess
import sys
import time

import channel
from channel import DATA, MORE, PART_MAX, data, end_of, opening, receive

rounds = int(sys.argv.pop()) if sys.argv[-1].isdigit() else 200
from lib import check, command, counters, done, own_list, redis, same, talk, until

ABI = pathlib.Path(__file__).parents[2] / 'abi' / 'trace.h'
TRACE_VERSION = int(re.search(r'TRACE_VERSION (\d+)u', ABI.read_text()).group(1))
CALLS = 512
work = own_list('services')
RUN = os.environ['DRUPE_RUN']


def connect():
    return channel.connect(RUN)


def trace_open(version=TRACE_VERSION, flags=0, calls=b'\xff' * (CALLS // 8), nfds=0, path=b''):
    return struct.pack('<IIII', version, flags, 0, 32) + calls + struct.pack('<Q', 0) + b'\xff' * 32 + struct.pack('<I', nfds) + bytes(14 * 4) + path.ljust(256, b'\0') + bytes(4)


# What a service is opened with, and what it does not take.
SERVICES = {b'stats': (b'', [b'nonsense', b'latency maybe', b'a' * 4096]), b'tasks': (b'', []),
            b'trace': (trace_open(), [b'', b'x' * 4096, trace_open(version=99), trace_open(flags=1 << 31), trace_open(nfds=1 << 30), trace_open(path=b'x' * 256)]),
            b'profile': (b'99', [b'', b'0', b'-1', b'99 on-cpu', b'99999999999999999999', b'9' * 4096]),
            b'pcap': (b'96', [b'x', b'9' * 4096]), b'dump': (None, [b'x', b'0', b'99999', b'9' * 4096]), b'cores': (b'', []),
            b'debug': (b'1', [b'x', b'0', b'99999', b'-1', b'9' * 4096])}
# Messages behind the opening that none of them takes as anything but a question or the end.
NONSENSE = {'garbage': [data(os.urandom(500))], 'a byte': [data(b'\0')], 'nothing': [data(b'')], 'a gigabyte of length': [data(struct.pack('<IIQQ', 5, 1, 0, 1 << 30))],
            'half a message': [data(b'x' * 100, MORE)], 'parts without an end': [data(b'x' * PART_MAX, MORE)] * 2}


def held():
    c = counters('s')
    return c['memory_bytes', 'kernel'] + c['memory_bytes', 'slab']


def unharmed(what):
    same(talk(port, b'PING\r\n'), b'+PONG\r\n', what)


def ended(name, args, packets):
    """Opens, sends, and says it has enough: is there an end?"""
    with connect() as s:
        s.send(opening(name, args))
        for p in packets:
            with contextlib.suppress(OSError): # it may have hung up already
                s.send(p)
        with contextlib.suppress(OSError):
            s.send(channel.closing())
        return end_of(s)[0] is not None


def attach(name, args):
    """Until its first words, where it has any without being asked; then gone without one."""
    with connect() as s:
        s.send(opening(name, args))
        if name in (b'stats', b'tasks'):
            s.send(data(b'?'))
        if name == b'debug':
            s.send(data(struct.pack('<IIIIQQ', 1, 0, 0, 0, 0, 0)))
        if name in (b'stats', b'tasks', b'trace', b'debug', b'profile'):
            kind, error, text = receive(s)
            return kind == DATA or error in (11, 16) # its last client is just being seen off
    return True


port = redis('s')
try:
    for name, (args, wrong) in SERVICES.items():
        refused = []
        for w in wrong:
            with connect() as s:
                s.send(opening(name, w))
                refused.append(end_of(s))
        check(all(error not in (None, 0) and why for error, why in refused), f'{name.decode()}: wrong arguments are refused with a reason', refused)
        if args is None:
            continue
        bad = [what for what, packets in NONSENSE.items() if not ended(name, args, packets)]
        check(not bad, f'{name.decode()}: nonsense ends in an end', bad)
    unharmed('the program answers')

    load = subprocess.Popen(['redis-benchmark', '-p', str(port), '-t', 'ping_mbulk', '-n', '100000000', '-q', '-c', '4'], stdout=subprocess.DEVNULL)
    stopped = [connect() for _ in range(3)] # they read nothing
    for s, name in zip(stopped, (b'trace', b'profile', b'pcap')):
        s.send(opening(name, SERVICES[name][0]))
    time.sleep(11) # as long again it waits for its end to be read
    error, why = end_of(stopped[0])
    check(error == 110 and 'nothing was read' in why, 'who stops reading is dropped', (error, why))
    for s in stopped:
        s.close()
    names = [n for n in SERVICES if SERVICES[n][0] is not None]
    failed, memory = [], []
    for n in (rounds // 10, rounds): # the first ones make what stays
        for i in range(n):
            name = names[i % len(names)]
            if not attach(name, SERVICES[name][0]):
                failed.append(name)
        load.send_signal(19)
        time.sleep(0.5)
        memory.append(held())
        load.send_signal(18)
    check(not failed, f'{rounds} clients come and vanish under load', failed[:10])
    load.terminate()
    load.wait()
    check(until(lambda: held() - memory[0] <= 256 << 10), 'and leave nothing in the kernel', (memory, held())) # the last ones may still be leaving
    unharmed('the program answers as before')
    same(command('ps', 's')[0], 0, 'and so do its services')
finally:
    command('rm', '-f', 's')
done()
