#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pack the function names of a linked kernel for kernel/trace/symbols.c, which describes the format.

usage: gen_symbols.py NM KERNEL OUTPUT.S

The table lies after everything that it describes, so linking the kernel again with it moves no function.
"""
import collections
import struct
import subprocess
import sys

STEP_SHIFT = 6


def pair_tokens(names):
    """Byte pair encoding: names as lists of codes, end byte included, and the pair behind each code."""
    texts = [list(n.encode("ascii", "replace")) + [0] for n in names]
    characters = {c for t in texts for c in t}
    tokens = [(c, 0) for c in range(256)]
    for code in set(range(256)) - characters:
        pairs = collections.Counter()
        for t in texts:
            pairs.update(zip(t, t[1:]))
        if not pairs:
            break
        pair, uses = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if uses < 4:
            break
        tokens[code] = pair
        for i, t in enumerate(texts):
            out, k = [], 0
            while k < len(t):
                if k + 1 < len(t) and (t[k], t[k + 1]) == pair:
                    out.append(code)
                    k += 2
                else:
                    out.append(t[k])
                    k += 1
            texts[i] = out
    return texts, tokens


def main():
    nm, kernel, output = sys.argv[1:]
    lines = subprocess.run([nm, "-n", "--defined-only", kernel], check=True, capture_output=True, text=True).stdout
    symbols, bounds = {}, {}
    for line in lines.splitlines():
        address, kind, name = line.split(maxsplit=2)
        if name in ("text_start", "text_end"):
            bounds[name] = int(address, 16)
        elif kind in "tTwW" and name not in ("noprobe_start", "noprobe_end"):
            symbols.setdefault(int(address, 16), name.split(".")[0])
    start, end = bounds["text_start"], bounds["text_end"]
    table = sorted((a - start, n) for a, n in symbols.items() if start <= a < end)
    texts, tokens = pair_tokens([n for _, n in table])
    data, offsets, addresses = bytearray(), [], []
    previous = 0
    for i, ((address, _), codes) in enumerate(zip(table, texts)):
        if i % (1 << STEP_SHIFT) == 0:
            offsets.append(len(data))
            addresses.append(address)
            previous = address
        distance = address - previous
        previous = address
        while distance >= 0x80:
            data.append(distance & 0x7F | 0x80)
            distance >>= 7
        data.append(distance)
        data += bytes(codes)
    blob = struct.pack("<3I", len(table), STEP_SHIFT, end - start)
    blob += struct.pack("<%dI" % len(offsets), *offsets) + struct.pack("<%dI" % len(addresses), *addresses)
    blob += b"".join(bytes(p) for p in tokens) + bytes(data)
    with open(output, "w", encoding="ascii") as f:
        f.write('    .section .symtab_packed, "a", @progbits\n    .balign 8\n    .globl symtab_packed\nsymtab_packed:\n')
        for i in range(0, len(blob), 32):
            f.write("    .byte " + ",".join(map(str, blob[i:i + 32])) + "\n")
        f.write('    .section .note.GNU-stack, "", @progbits\n')


main()
