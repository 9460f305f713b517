#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Enforce the include directions of docs/ARCHITECTURE.md.

A part may include public headers of the parts to its right only:

    init -> linux -> {fs, net} -> {dev, sched, mm, bpf} -> {core, trace} -> base
    init -> drivers -> dev        plat, arch implement kern/plat.h and kern/arch.h
    host -> {abi, base}           host never includes kernel/

Usage: check_includes.py [ROOT]; prints each violation and exits 1 if there is one.
"""
import pathlib
import re
import sys

# Public headers by the part that owns them; kern/<name>.h.
OWNER = {
    'core': 'types atomic log lock lockstat bh channel wait poll timer work random percpu cpu_calls trap plat arch device core kprobe sysctl',
    'trace': 'trace symbols counters latency',
    'bpf': 'bpf cbpf',
    'mm': 'page slab uio uaccess pagecache addrspace callsite textbreak',
    'sched': 'thread futex',
    'dev': 'netdev blkdev chardev msgdev pkt sysfs vnet_hdr',
    'fs': 'notify vfs',
    'net': 'net socket',
    'linux': 'linux',
    'drivers': 'drivers',
}
PART_OF_HEADER = {name: part for part, names in OWNER.items() for name in names.split()}

LOW = {'core', 'trace', 'bpf', 'mm', 'sched', 'dev'}  # kern/plat.h and friends are below everything
ALLOWED = {
    'base': set(),
    'core': {'core', 'trace', 'sched', 'mm'},
    'trace': {'core', 'trace', 'mm'},
    'bpf': {'core', 'trace', 'bpf', 'mm', 'sched'},
    'mm': {'core', 'trace', 'mm', 'sched'},
    'sched': {'core', 'trace', 'mm', 'sched'},
    'dev': {'core', 'trace', 'mm', 'sched', 'dev'},
    'fs': LOW | {'fs'},
    'net': LOW | {'net'},
    'drivers': LOW | {'drivers'},
    'linux': LOW | {'fs', 'net', 'linux'},
    'init': LOW | {'fs', 'net', 'linux', 'drivers', 'init'},
    'arch': {'core', 'trace', 'bpf', 'mm', 'sched'},
    'plat': {'core', 'trace', 'mm', 'sched', 'dev'},
}
# core names two things of its neighbours: the thread it stops and the memory it needs.
# Everything else that goes upward is a table of operations.

GENERATED = {'linux/syscall_table.inc', 'linux/syscall_captures.inc', 'linux/syscalls_gen.h', 'linux/vdso_image.inc'}  # from kernel/linux/syscalls.tbl
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]')


def part_of(path):
    """The part a file belongs to, from its place in the tree; None = not checked."""
    p = path.parts
    if 'test' in p:
        return None
    if p[0] == 'base':
        return 'base'
    if p[0] == 'host':
        return 'host'
    if p[0] != 'kernel' or len(p) < 3:
        return None
    if p[1] == 'include':
        return PART_OF_HEADER.get(path.stem)
    if p[1] == 'plat' and p[2] == 'sim':
        return None  # the test platform also sees the C library
    if p[1] == 'plat' and p[2] == 'host':
        return 'plat/host'
    return p[1]


def check_include(part, header, local):
    """Why `part` may not include `header`, or None."""
    top = header.split('/')[0]
    if part == 'host':
        if top == 'kern' or header.startswith('kernel/'):
            return 'host includes kernel headers'
        return None
    if part == 'plat/host':
        if top in ('asm', 'linux'):
            return None  # the kernel interface of Linux, which it runs on
        part = 'plat'
    if part == 'base':
        return None if top == 'base' or local else 'base includes only base'
    if top in ('base', 'arch', 'plat'):
        return None
    if header == 'abi/control.h' and part == 'core':
        return None  # channel.c carries the protocol's channels for services of every part
    if top == 'abi':
        formats = (('fs', 'abi/p9.h'), ('net', 'abi/pcap.h'), ('net', 'abi/sieve.h'), ('trace', 'abi/trace.h'), ('trace', 'abi/trace_points.h'), ('bpf', 'abi/bpf.h'))  # of what goes over a wire, as EROFS is of what lies on a disk
        known = part in ('init', 'linux', 'plat') or (part, header) in formats
        return None if known else 'only init, linux and plat know abi/, others their wire format there'
    if top == 'kern':
        name = header[len('kern/'):].removesuffix('.h')
        owner = PART_OF_HEADER.get(name)
        if owner is None:
            return f'kern/{name}.h has no owner: add it to OWNER in check_includes.py'
        if owner not in ALLOWED[part]:
            return f'{part} may not include headers of {owner}'
        return None
    return None if local else f'unknown header {header}'


def same_part(path, header, root, part):
    """Does `header`, seen from `path`, belong to the same part?"""
    target = (path.parent / header).resolve()
    return target.is_relative_to(root) and part_of(target.relative_to(root)) == part


def check_tree(root):
    bad = []
    for path in sorted(root.rglob('*.[chS]')):
        rel = path.relative_to(root)
        part = part_of(rel)
        if part is None or rel.parts[0].startswith('build'):
            continue
        for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
            m = INCLUDE.match(line)
            if not m:
                continue
            header = m.group(1)
            local = (path.parent / header).exists() or '/' not in header
            if header in GENERATED:
                continue
            if local and '..' in header.split('/') and not same_part(path, header, root, part):
                bad.append(f'{rel}:{number}: private headers of other folders are private: {header}')
                continue
            why = check_include(part, header, local)
            if why:
                bad.append(f'{rel}:{number}: {why}')
    return bad


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.').resolve()
    bad = check_tree(root)
    for line in bad:
        print(line)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
