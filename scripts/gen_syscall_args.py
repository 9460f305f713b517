#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make from syscalls.tbl and syscall_args.tbl what tracers of system calls need.

  gen_syscall_args.py captures CALLS ARGS OUT   what the kernel copies for a traced call (C)
  gen_syscall_args.py decode CALLS ARGS OUT     how the host prints arguments (C)
"""
import sys

# Bytes of the structures; what a call only writes has "o.", both ways "io.".
SIZES = {
    'stat': 144, 'statx': 256, 'statfs': 120, 'pollfd': 8, 'sigaction': 32, 'sigset': 8, 'pair': 8, 'fdset': 128, 'timeval': 16,
    'timeval2': 32, 'timespec': 16, 'timespec2': 32, 'itimerval': 32, 'itimerspec': 32, 'int': 4, 'u32': 4, 'wstatus': 4, 'rusage': 144,
    'utsname': 390, 'rlimit': 16, 'siginfo': 128, 'stack': 24, 'schedparam': 4, 'epollevent': 12, 'time': 8, 'sembuf': 6,
    'clone3': 88, 'openhow': 24, 'offset': 8, 'sysinfo': 112, 'tms': 32, 'utimbuf': 16, 'timex': 208, 'caphdr': 8, 'capdata': 24,
    'sigevent': 24, 'mqattr': 32, 'schedattr': 48, 'addr': 8, 'id': 4, 'shmds': 96, 'msgds': 104, 'tz': 8, 'handle': 40, 'waitv': 24,
    'uringparams': 120, 'iocb': 64, 'ioevent': 32,
}
# Arguments whose meaning another one decides: bytes copied before and after the call.
EITHER = {'ioctl': (40, 60), 'fcntl': (32, 32), 'lenp': (4, 4), 'offset': (8, 8), 'semun': (0, 104), 'known': (16, 0), 'prctl': (0, 16)}
SCALARS = set('d u x l lu p fd dirfd mode sig dev uid key by'.split())
# Pointers with a way of their own: [(how, when)].
OWN = {
    'path': [('PATH', 'ENTRY')], 'str': [('STRING', 'ENTRY')], 'argv': [('STRINGS', 'ENTRY')], 'envp': [('COUNT', 'ENTRY')],
    'dents': [('DENTS', 'EXIT')], 'buf': [('BUFFER', 'ENTRY')], 'optval': [('BUFFER', 'ENTRY'), ('OPTION', 'ENTRY')], 'obuf': [('RESULT', 'EXIT')], 'iov': [('IOV', 'ENTRY')],
    'oiov': [('IOV', 'LATE')], 'riov': [('VECTOR', 'ENTRY')], 'msg': [('MSG', 'ENTRY')], 'omsg': [('MSG', 'LATE')],
    'mmsg': [('MSGS', 'LATE')], 'ommsg': [('MSGS', 'EXIT')], 'sa': [('COUNTED', 'ENTRY')], 'osa': [('LENGTH_AT', 'EXIT')],
    'oopt': [('LENGTH_AT', 'EXIT')], 'ipcmsg': [('IPC_MSG', 'ENTRY')], 'oipcmsg': [('IPC_MSG', 'EXIT')], 'pages': [('PAGES', 'EXIT')],
    'setp': [('SET_AT', 'ENTRY')], 'iocbs': [('REQUESTS', 'ENTRY')], 'mask': [('FIXED', 'ENTRY')],
}


def parse(calls_path, args_path):
    numbers, implemented = {}, set()
    for line in open(calls_path):
        line = line.split('#', 1)[0].split()
        if line:
            numbers[line[1]] = int(line[0])
            if line[3] not in ('missing', 'absent'):
                implemented.add(line[1])
    rows = {}
    for number, line in enumerate(open(args_path), 1):
        words = line.split('#', 1)[0].split()
        if not words:
            continue
        name, args, result = words[0], words[1:], 'd'
        if '=' in args:
            result = args[-1]
            args = args[:args.index('=')]
        if name not in numbers or name in rows or len(args) > 6:
            sys.exit(f'{args_path}:{number}: {name}')
        rows[name] = (args, result)
    missing = implemented - set(rows)
    if missing:
        sys.exit(f'{args_path}: without arguments: {", ".join(sorted(missing))}')
    return numbers, rows, implemented


def split(arg):
    """'n.pollfd<1' -> ('n', 'pollfd', 1)"""
    arg, _, length = arg.partition('<')
    how, dot, kind = arg.rpartition('.')
    return how, kind, int(length) if length else 0


def captures(arg):
    """[(how, when, length argument, bytes)] of an argument."""
    how, kind, length = split(arg)
    if how in ('f', 'e') or arg in SCALARS:
        return []
    if how == '' and kind in EITHER:
        before, after = EITHER[kind]
        strings = [('STRING', 'ENTRY', 0, 0)] if kind == 'prctl' else []
        lists = [('INTERFACES', 'EXIT', 1, 0)] if kind == 'ioctl' else []
        return strings + [('FIXED', when, 0, size) for when, size in (('ENTRY', before), ('EXIT', after)) if size] + lists
    if how == '' and kind in OWN:
        return [(way, when, length, 8 if kind == 'mask' else 1) for way, when in OWN[kind]]
    if kind not in SIZES:
        sys.exit(f'unknown kind {arg}')
    size = SIZES[kind]
    if how == 'n':
        found = [('COUNTED', 'ENTRY', length, size)]
        return found + [('COUNTED', 'EXIT', length, size)] if kind == 'pollfd' else found
    if how == 'r':
        return [('RESULT', 'EXIT', 0, size)]
    if how == 'io':
        return [('FIXED', 'ENTRY', 0, size), ('FIXED', 'EXIT', 0, size)]
    if how == 'o':
        return [('FIXED', 'EXIT', 0, size)]
    if how == '':
        return [('FIXED', 'ENTRY', 0, size)] + ([('IDS', 'ENTRY', 1, 0)] if kind == 'clone3' else [])
    sys.exit(f'unknown kind {arg}')


def kernel(numbers, rows, _):
    out = ['/* Generated from kernel/linux/syscall_args.tbl. */', 'static const struct capture captures[] = {']
    first, count = {}, 0
    for name in sorted(rows, key=numbers.get):
        first[numbers[name]] = count
        for i, arg in enumerate(rows[name][0]):
            for how, when, length, size in captures(arg):
                out.append(f'    {{ CAPTURE_{how}, CAPTURE_{when}, {i}, {length}, {size} }}, /* {name} */')
                count += 1
    out += ['};', '', '/* Of call nr those from captures_first[nr] on, up to the next one\'s. */',
            'static const u16 captures_first[SYSCALL_COUNT + 1] = {']
    at = 0
    last = max(numbers.values())
    for nr in range(last + 2):
        # the start of the next call that has a row
        at = first.get(nr, next((first[k] for k in sorted(first) if k >= nr), count))
        out.append(f'    {at},')
    out += ['};', '']
    for what, kinds in (('fd', ('fd', 'dirfd')), ('path', ('path',))):
        out.append(f'static const u8 call_{what}_args[SYSCALL_COUNT] = {{')
        for name in sorted(rows, key=numbers.get):
            bits = sum(1 << i for i, arg in enumerate(rows[name][0]) if split(arg)[1] in kinds)
            out += [f'    [{numbers[name]}] = {bits},'] if bits else []
        out += ['};', '']
    return '\n'.join(out)


def identifier(arg):
    how, kind, length = split(arg)
    if how in ('f', 'e'):
        return f'{{ ARG_{"FLAGS" if how == "f" else "ENUM"}, SET_{kind} }}'
    if how == '' and (arg in SCALARS or kind in EITHER or kind in OWN):
        return f'{{ ARG_{kind}, {length} }}'
    return f'{{ ARG_{"array" if how in ("n", "r") else "struct"}, TYPE_{kind}, {length}, {how == "o":d}, {how == "r":d} }}'


def host(numbers, rows, implemented):
    sets = sorted({split(a)[1] for args, _ in rows.values() for a in args if split(a)[0] in ('f', 'e')} | {'seals', 'termi', 'termo', 'termc', 'terml', 'iff', 'adjmodes', 'adjstatus', 'ptraceopt', 'schedflags'})
    kinds = sorted({split(a)[1] for args, _ in rows.values() for a in args if split(a)[0] not in ('f', 'e')} & set(SIZES) - set(EITHER))
    out = ['/* Generated from kernel/linux/syscall_args.tbl. */',
           'enum set_id { ' + ', '.join(f'SET_{s}' for s in sets) + ', SET_COUNT };',
           'enum type_id { ' + ', '.join(f'TYPE_{k}' for k in kinds) + ', TYPE_COUNT };', '']
    out += ['#ifdef SYSCALL_ARGS', 'static const struct call_args call_args[] = {']
    for name in sorted(rows, key=numbers.get):
        args, result = rows[name]
        out.append(f'    [{numbers[name]}] = {{ true, {len(args)}, {result == "x":d}, {result == "mode":d}, {{ '
                   + ', '.join(identifier(a) for a in args) + ' } },')
    out += ['};', 'static const bool call_there[] = {']
    out += [f'    [{numbers[name]}] = true,' for name in sorted(implemented, key=numbers.get)]
    out += ['};', 'static const u16 type_sizes[] = {']
    out += [f'    [TYPE_{k}] = {SIZES[k]},' for k in kinds]
    out += ['};', '#endif', '']
    return '\n'.join(out)


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    what, calls, args, out = sys.argv[1:]
    text = {'captures': kernel, 'decode': host}[what](*parse(calls, args))
    with open(out, 'w') as f:
        f.write(text)


main()
