# SPDX-License-Identifier: Apache-2.0
"""Packets of the socket through which other commands speak to an instance (abi/control.h, docs/INSTANCES.md), for tests that speak for themselves."""
import os
import socket
import struct
import time

MAGIC, OPEN, DATA, CREDIT, CLOSE = 0x50555244, 32, 33, 34, 35
MORE, PART_MAX = 1, 8192


def connect(run):
    """To the only instance in this list."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    place = os.open(os.path.join(run, [n for n in os.listdir(run) if not n.startswith('.')][0]), os.O_PATH)
    s.connect(f'/proc/self/fd/{place}/socket') # whose path may be longer than an address
    os.close(place)
    s.settimeout(120)
    return s


def message(kind, payload=b'', magic=MAGIC, version=1, length=None):
    return struct.pack('<IHHI', magic, version, kind, len(payload) if length is None else length) + payload


def opening(name, args=b'', name_len=None):
    return message(OPEN, struct.pack('<III', 0, 0, len(name) if name_len is None else name_len) + name + args)


def data(payload, flags=0):
    return message(DATA, struct.pack('<II', 0, flags) + payload)


def closing():
    return message(CLOSE, struct.pack('<II', 0, 0))


def receive(s):
    """(type, flags or error, rest); (None, 0, b'') when the other side has hung up."""
    for _ in range(2):
        try:
            packet = s.recv(1 << 20)
            break
        except ConnectionResetError: # told once, before what was sent earlier
            packet = b''
    if not packet:
        return None, 0, b''
    magic, version, kind, length = struct.unpack('<IHHI', packet[:12])
    assert magic == MAGIC and version == 1 and length == len(packet) - 12
    return kind, struct.unpack('<I', packet[16:20])[0], packet[20:]


def receive_whole(s):
    """A message of any length. EOFError: the other side has ended the conversation."""
    whole, flags = b'', MORE
    while flags & MORE:
        kind, flags, part = receive(s)
        if kind != DATA:
            raise EOFError(part.decode(errors='replace'))
        whole += part
    return whole


def end_of(s):
    """What CTL_CLOSE says: (error, text)."""
    kind, until = DATA, time.monotonic() + 120
    while kind == DATA and time.monotonic() < until: # one that was not dropped tells without an end
        kind, error, text = receive(s)
    return (error, text.decode(errors='replace')) if kind == CLOSE else (None, '')
