# SPDX-License-Identifier: Apache-2.0
"""A client of the kernel's service "bpf" (abi/bpf.h), with an assembler of a few words and a reader of clang's objects."""
import os
import shutil
import struct
import subprocess

import channel
from channel import MORE, PART_MAX

(MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_DUMP, MAP_CLEAR, LOAD, ATTACH, DETACH, RUN, STATS, POINTS, SYMBOL, AREAS, FLUSH,
 BEGIN) = range(1, 17)
HELLO, REPLY, OUTPUT, END = range(64, 68)
HASH, ARRAY, PERF, PERCPU_HASH, PERCPU_ARRAY, STACKS, RINGBUF = 1, 2, 4, 5, 6, 7, 27
CTX_POINT, CTX_ENTRY, CTX_EXIT, CTX_REGS = range(1, 5)
AT_POINT, AT_ENTRY, AT_EXIT, AT_INTERVAL, AT_PROFILE, AT_FUNCTION, AT_RETURN = range(1, 8)
ALL_CALLS = 0xffffffff
RECORD_RINGBUF, RECORD_PERF, RECORD_PRINT, RECORD_LOST = range(1, 5)


class Refused(Exception):
    def __init__(self, error, insn, text):
        super().__init__(f'{error} at {insn}: {text}')
        self.error, self.insn, self.text = error, insn, text


class Client:
    def __init__(self, run, flags=0):
        self.s = channel.connect(run)
        self.records, self.tag, self.ended = [], 0, False
        self.s.send(channel.opening(b'bpf', struct.pack('<II', 1, flags)))
        kind, _, body = self.message()
        assert kind == HELLO, kind
        self.version, self.cpus, self.realtime_ns, self.monotonic_ns = struct.unpack('<IIQQ', body)

    def message(self):
        whole = channel.receive_whole(self.s)
        kind, tag = struct.unpack('<II', whole[:8])
        return kind, tag, whole[8:]

    def take_output(self, body):
        while body:
            size, kind, cpu, number, _ = struct.unpack('<IHHII', body[:16])
            self.records.append((kind, cpu, number, body[16:16 + size]))
            body = body[16 + (size + 7) // 8 * 8:]

    def ask(self, kind, body=b''):
        """(value, data)."""
        self.tag += 1
        whole = struct.pack('<II', kind, self.tag) + body
        for at in range(0, len(whole), PART_MAX):
            self.s.send(channel.data(whole[at:at + PART_MAX], MORE if at + PART_MAX < len(whole) else 0))
        while True:
            kind, tag, body = self.message()
            if kind == OUTPUT:
                self.take_output(body)
            elif kind == END:
                self.ended = True
            else:
                break
        assert kind == REPLY and tag == self.tag
        error, insn, value = struct.unpack('<iIQ', body[:16])
        if error:
            raise Refused(error, insn, body[16:].decode(errors='replace'))
        return value, body[16:]

    def take_one(self):
        """The next message that was not asked for."""
        kind, _, body = self.message()
        self.ended |= kind == END
        if kind == OUTPUT:
            self.take_output(body)

    def map(self, number, kind, key, value, entries):
        self.ask(MAP_CREATE, struct.pack('<IIIIIII16s', number, kind, key, value, entries, 0, 0, b'test'))
        return number

    def load(self, number, ctx, insns):
        return self.ask(LOAD, struct.pack('<IIII16s', number, ctx, len(insns) // 8, 0, b'test') + insns)[0]

    def attach(self, program, where, number=0, value=0, path=''):
        return self.ask(ATTACH, struct.pack('<IIIIQ', program, where, number, 0, value) + path.encode())[0]

    def detach(self, number):
        self.ask(DETACH, struct.pack('<II', number, 0))

    def lookup(self, number, key):
        return self.ask(MAP_LOOKUP, struct.pack('<IIQ', number, 0, 0) + key)[1]

    def u64(self, number, index):
        return struct.unpack('<Q', self.lookup(number, struct.pack('<I', index)))[0]

    def dump(self, number, key, value):
        got, cursor, one = {}, 0, (key + 7) // 8 * 8 + (value + 7) // 8 * 8
        while True:
            cursor, data = self.ask(MAP_DUMP, struct.pack('<IIQ', number, 0, cursor))
            for at in range(0, len(data), one):
                at_value = at + (key + 7) // 8 * 8
                got[data[at:at + key]] = data[at_value:at_value + value]
            if cursor == 0:
                return got

    def stats(self, program):
        return struct.unpack('<QQ', self.ask(STATS, struct.pack('<II', program, 0))[1])

    def points(self):
        return {l.split()[1]: int(l.split()[0]) for l in self.ask(POINTS)[1].decode().splitlines()}

    def flush(self):
        self.ask(FLUSH)
        records, self.records = self.records, []
        return records

    def close(self):
        self.s.close()


# --- instructions ---------------------------------------------------------------------------------

def insn(code, dst=0, src=0, off=0, imm=0):
    return struct.pack('<BBhi', code, dst | src << 4, off, imm if imm < 1 << 31 else imm - (1 << 32))


def mov(d, imm): return insn(0xb7, d, imm=imm)
def movx(d, s): return insn(0xbf, d, s)
def add(d, imm): return insn(0x07, d, imm=imm)
def ldx(d, s, off): return insn(0x79, d, s, off)
def ldw(d, s, off): return insn(0x61, d, s, off)
def stx(d, off, s): return insn(0x7b, d, s, off)
def stw(d, off, s): return insn(0x63, d, s, off)
def st(d, off, imm): return insn(0x7a, d, off=off, imm=imm)
def ld_map(d, number): return insn(0x18, d, 1, imm=number) + insn(0)
def call(helper): return insn(0x85, imm=helper)
def jeq(d, imm, off): return insn(0x15, d, off=off, imm=imm)
def jne(d, imm, off): return insn(0x55, d, off=off, imm=imm)
def add_to(d, off, s): return insn(0xdb, d, s, off)
EXIT = insn(0x95)


def count_by(number, field):
    """One more in the array's entry that the context's field says."""
    return (ldx(1, 1, field) + stw(10, -4, 1) + movx(2, 10) + add(2, -4) + ld_map(1, number) + call(1) + jeq(0, 0, 2) + mov(1, 1) + add_to(0, 0, 1) +
            mov(0, 0) + EXIT)


# --- clang's objects --------------------------------------------------------------------------------

def have_clang():
    return shutil.which('clang-14') is not None


def compile_object(source, work, *options):
    """{section: instructions}; maps are numbered by what their symbols are called: map_3."""
    path = os.path.join(work, 'a.o')
    subprocess.run(['clang-14', '-target', 'bpf', '-O2', '-Wall', '-Werror', '-c', '-x', 'c', '-', '-o', path, *options], input=source.encode(), check=True)
    elf = open(path, 'rb').read()
    at, = struct.unpack('<Q', elf[40:48])
    count, names = struct.unpack('<HH', elf[60:64])
    sections = [struct.unpack('<IIQQQQIIQQ', elf[at + 64 * i:at + 64 * i + 64]) for i in range(count)]

    def data(i):
        return elf[sections[i][4]:sections[i][4] + sections[i][5]]

    def text(table, off):
        return table[off:table.index(b'\0', off)].decode()

    code = {i: bytearray(data(i)) for i in range(count) if sections[i][1] == 1 and sections[i][2] & 4 and sections[i][5]}
    for s in sections:
        if s[1] != 9 or s[7] not in code:
            continue
        symbols, strings = data(s[6]), data(sections[s[6]][6])
        for r in range(s[4], s[4] + s[5], 16):
            off, info = struct.unpack('<QQ', elf[r:r + 16])
            name, _, _, index, value, _ = struct.unpack('<IBBHQQ', symbols[(info >> 32) * 24:(info >> 32) * 24 + 24])
            place = code[s[7]]
            assert place[off] == 0x18, 'functions are in the section of whoever calls them'
            place[off + 1] = (place[off + 1] & 15) | 16
            place[off + 4:off + 8] = struct.pack('<i', int(text(strings, name).rsplit('_', 1)[1]))
    return {text(data(names), sections[i][0]): bytes(c) for i, c in code.items()}
