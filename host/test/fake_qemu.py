#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for QEMU and the machine in it: does what the last argument of the program in config.json says,
over the descriptors that drupe hands to QEMU (host/qemu/argv.h)."""
import json
import os
import select
import signal
import socket
import struct
import sys
import time

CONFIG, CONSOLE, CONTROL, IN, OUT, ERR = 4, 5, 6, 7, 8, 9
HELLO, STARTED, EXIT, CRASH, LOG, NET, OUTPUT_EOF = range(1, 8)
SIGNAL, WINSIZE, STDIN_EOF = 64, 65, 66
OPEN, DATA, CREDIT, CLOSE = 32, 33, 34, 35
pending = b''


def send(kind, payload=b'', magic=0x50555244, version=1, length=None):
    os.write(CONTROL, struct.pack('<IHHI', magic, version, kind, len(payload) if length is None else length) + payload)


def end(code=0, number=0, kind=0):
    send(EXIT, struct.pack('<IIII', code, number, kind, 0))
    os._exit(1)


def receive():
    """The next message: (type, payload)."""
    global pending
    while len(pending) < 12 or len(pending) < 12 + struct.unpack('<IHHI', pending[:12])[3]:
        pending += os.read(CONTROL, 4096) or os._exit(9)
    _, _, kind, n = struct.unpack('<IHHI', pending[:12])
    payload, pending = pending[12:12 + n], pending[12 + n:]
    return kind, payload


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def echo():
    """stdin to stdout until the end that the control port announced; the descriptor may end earlier."""
    done, total = 0, None
    while total is None or done < total:
        ready = select.select([IN, CONTROL], [], [])[0]
        if IN in ready:
            data = os.read(IN, 65536)
            done += len(data)
            write_all(OUT, data)
            if not data:
                while total is None:
                    kind, payload = receive()
                    if kind == STDIN_EOF:
                        total = struct.unpack('<Q', payload)[0]
                break
        elif CONTROL in ready:
            kind, payload = receive()
            if kind == STDIN_EOF:
                total = struct.unpack('<Q', payload)[0]
    end(0 if done == total else 1)


def channels():
    """A kernel's services: echo, flood (as far as credit goes), open (how many others are)."""
    names, allowed, spent, taken = {}, {}, {}, {}

    def put(number, flags, payload):
        spent[number] += 20 + len(payload)
        send(DATA, struct.pack('<II', number, flags) + payload)

    def flood(number):
        while spent[number] + 1020 <= allowed[number]:
            put(number, 0, b'f' * 1000)

    while True:
        kind, payload = receive()
        number = struct.unpack('<I', payload[:4])[0]
        if kind == SIGNAL:
            end(0, number)
        elif kind == OPEN:
            _, window, n = struct.unpack('<III', payload[:12])
            name = payload[12:12 + n]
            if name not in (b'echo', b'flood', b'open'):
                send(CLOSE, struct.pack('<II', number, 2) + b'no such service')
                continue
            names[number], allowed[number], spent[number], taken[number] = name, window, 0, 0
            if name == b'flood':
                flood(number)
            elif name == b'open':
                put(number, 0, str(len(names) - 1).encode())
        elif number not in names:
            continue
        elif kind == CREDIT:
            allowed[number] = struct.unpack('<Q', payload[8:16])[0]
            if names[number] == b'flood':
                flood(number)
        elif kind == CLOSE:
            del names[number]
        elif kind == DATA:
            taken[number] += 12 + len(payload)
            send(CREDIT, struct.pack('<IIQ', number, 0, taken[number] + 32768))
            put(number, struct.unpack('<I', payload[4:8])[0], payload[8:])


def lie(how):
    """A hostile kernel: breaks the protocol at the first opening."""
    kind, payload = receive()
    while kind != OPEN:
        kind, payload = receive()
    number = payload[:4]
    if how == 'beyond':
        for _ in range(300):
            send(DATA, number + bytes(4) + b'x' * 8192)
    elif how == 'badcredit':
        send(CREDIT, number + bytes(4) + struct.pack('<Q', 1 << 60))
    elif how == 'badpart':
        send(DATA, number + struct.pack('<I', 6) + b'x')
    else:
        send(OPEN, payload)
    time.sleep(30)


what = json.load(open(f'/dev/fd/{CONFIG}'))['process']['args'][-1]
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
for fd in range(CONTROL, ERR + 1): # QEMU chooses for itself, too
    try:
        os.set_blocking(fd, True)
    except OSError:
        pass
os.write(CONSOLE, b'first line \x1b[31mof the console\xc2\x9b31m\nlast line of the console\n')
if what != 'silent':
    send(HELLO, b'fake'.ljust(32, b'\0') + struct.pack('<Q', 1000000))
    if what != 'noexec':
        send(STARTED)
if what == 'exit3':
    write_all(OUT, b'to stdout\0\xff\n')
    write_all(ERR, b'to stderr\n')
    end(3)
elif what == 'big':
    for i in range(160):
        write_all(OUT, bytes([i]) * 65536)
    end()
elif what == 'echo':
    echo()
elif what == 'segv':
    send(CRASH, b'program: SIGSEGV at 0 in main+4\n\x1b[31m')
    end(0, 11)
elif what.startswith('at '):
    send(CRASH, what.encode())
    end(0, 11)
elif what == 'noexec':
    send(CRASH, b'/prog: No such file or directory')
    end(127, 0, 1)
elif what == 'panic':
    send(CRASH, b'panic: the sky fell')
    end(125, 0, 2)
elif what == 'signal':
    write_all(OUT, b'ready\n')
    kind, payload = receive()
    while kind != SIGNAL:
        kind, payload = receive()
    end(0, struct.unpack('<II', payload)[0])
elif what == 'stubborn':
    write_all(OUT, b'ready\n')
    while True:
        time.sleep(1)
elif what == 'lines':
    write_all(OUT, b''.join(b'line %d\n' % i for i in range(5000)))
    end(0)
elif what == 'channels':
    write_all(OUT, b'ready\n')
    channels()
elif what.startswith('hostile '):
    write_all(OUT, b'ready\n')
    lie(what.split()[1])
elif what == 'badmagic':
    send(EXIT, b'', magic=1)
    time.sleep(30)
elif what == 'garbage':
    os.write(CONTROL, os.urandom(4096))
    time.sleep(30)
elif what == 'lingers':
    send(EXIT, struct.pack('<IIII', 4, 0, 0, 0))
    time.sleep(100)
elif what == 'toolong':
    send(LOG, b'', length=1 << 20)
    time.sleep(30)
elif what == 'log':
    send(LOG, b'system call 999 is missing')
    send(200, b'from the future')
    end(0)
elif what == 'abort':
    sys.stderr.write('qemu: something terrible\n')
    sys.stderr.flush()
    os.abort()
elif what == 'endless':
    try:
        while True:
            write_all(OUT, b'y\n' * 1000)
    except OSError:
        end(0, signal.SIGPIPE)
elif what == 'closes':
    write_all(OUT, b'all\n')
    send(OUTPUT_EOF, struct.pack('<IIQ', 1, 0, 4))
    time.sleep(30)
    end(0)
elif what == 'tty':
    tty = socket.socket(fileno=IN)
    sizes = []
    while len(sizes) < 2:
        kind, payload = receive()
        if kind == WINSIZE:
            sizes.append(struct.unpack('<HHHH', payload)[:2])
            tty.sendall(f'size {sizes[-1][0]}x{sizes[-1][1]}\r\n'.encode())
    data = tty.recv(1)
    tty.sendall(b'got %d\r\n' % data[0])
    end(5)
os._exit(7)
