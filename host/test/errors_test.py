#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Errors as a person wants them: the status, what was wrong, with which value."""
import os
import random
import socket
import subprocess

from lib import DRUPE, WORK, check, compile_c, done, drupe, environment, no_kernel, work

NO = no_kernel()


def refused(status, words, *args, **more):
    got, out, err = drupe(*args, **more)
    lines = [l for l in err.splitlines() if l]
    good = got == status and all(w in err for w in words) and not out and len(lines) == 1 and err.startswith('drupe: ')
    check(good, ' '.join(map(str, args))[:100] + f' -> {status}', f'status {got}\n{err}')


HELLO = compile_c('hello', 'int main(void){return 0;}')

refused(125, ['command is missing'])
refused(125, ['unknown command "nonsense"'], 'nonsense')
refused(125, ['attach', 'not there yet'], 'attach')
refused(125, ['SOURCE is missing'], 'run')
refused(125, ['unknown option', '--nonsense'], 'run', '--nonsense', HELLO)
refused(125, ['unknown option -x'], 'run', '-ix', HELLO)
refused(125, ['unknown option -x'], 'build', '-Vx', HELLO)
refused(125, ['-p', 'needs a value'], 'run', '-p')
refused(125, ['-d', 'no standard input', '-i'], 'run', '-d', '-i', HELLO)
refused(125, ['-v /a:/b', 'No such file'], 'run', '-v', '/a:/b', HELLO)
refused(125, ['--cpus 9', 'at most 8', '--on qemu'], 'run', '--on', 'host', '--cpus', '9', HELLO)
refused(125, ['--cpus x'], 'run', '--cpus', 'x', HELLO)
refused(125, ['DRUPE_HOST_KERNEL=/no/kernel'], 'run', '--on', 'host', HELLO, DRUPE_HOST_KERNEL='/no/kernel')
refused(125, ['--on firecracker', 'not there yet'], 'run', '--on', 'firecracker', HELLO)
refused(125, ['--on moon'], 'run', '--on', 'moon', HELLO)
refused(125, ['--machine i440fx', 'q35'], 'run', '--machine', 'i440fx', HELLO)
refused(125, ['-m lots'], 'run', '-m', 'lots', HELLO)
refused(125, ['-m 1K'], 'run', '-m', '1K', HELLO)
refused(125, ['-p 80'], 'run', '-p', '80', HELLO)
refused(125, ['-p 99999:1'], 'run', '-p', '99999:1', HELLO)
refused(125, ['--net bridge'], 'run', '--net', 'bridge', HELLO)
refused(125, ['no interface nosuchif', 'ip tuntap'], 'run', '--net', 'tap:nosuchif', '--on', 'qemu', HELLO)
refused(125, ['-p', '--net user'], 'run', '-p', '21980:1', '--net', 'none', '--on', 'qemu', HELLO)
refused(125, ['--ip', '--net tap'], 'run', '--ip', '1.2.3.4/8', '--on', 'qemu', HELLO)
refused(125, ['-w relative', 'absolute'], 'run', '-w', 'relative', '--on', 'qemu', HELLO, **NO)
refused(125, ['--ulimit files=1', 'no such limit', 'nofile'], 'run', '--ulimit', 'files=1', '--on', 'qemu', HELLO, **NO)
refused(125, ['--ulimit nofile', 'SOFT[:HARD]'], 'run', '--ulimit', 'nofile', '--on', 'qemu', HELLO, **NO)
refused(125, ['--ulimit cpu=1:x', 'SOFT[:HARD]'], 'run', '--ulimit', 'cpu=1:x', '--on', 'qemu', HELLO, **NO)
refused(125, ['--ulimit core=2:1', 'above'], 'run', '--ulimit', 'core=2:1', '--on', 'qemu', HELLO, **NO)
refused(125, ['-u nobodyatall'], 'run', '-u', 'nobodyatall', '--on', 'qemu', HELLO, **NO)
refused(125, ['--name', 'letters'], 'run', '--name', 'a b', '--on', 'qemu', HELLO, **NO)
refused(125, ['-t', 'not a terminal'], 'run', '-t', HELLO)
refused(125, ['DRUPE_KERNEL=/no/kernel'], 'run', '--on', 'qemu', HELLO, DRUPE_KERNEL='/no/kernel')
refused(125, ['oci:', 'not there yet'], 'run', 'oci:/x')
refused(125, ['--add', '/no/such/file'], 'run', '--add', '/no/such/file', '--on', 'qemu', HELLO, **NO)
refused(127, ['no program "nosuchprogram"'], 'run', 'nosuchprogram')
refused(127, ['./hello'], 'run', 'hello')
refused(127, ['/no/such/program', 'No such file'], 'run', '/no/such/program')
refused(126, ['directory', 'dir:/tmp'], 'run', '/tmp')
refused(126, ['neither an ELF'], 'run', work('text', 'just text', 0o755))
refused(126, ['empty'], 'run', work('empty', '', 0o755))
refused(126, ['not executable'], 'run', work('noexec', open(HELLO, 'rb').read(), 0o644))
refused(127, ['interpreter /no/interp'], 'run', work('badscript', '#!/no/interp\n', 0o755))
refused(126, ['too many interpreters'], 'run', work('ring', f'#!{work("ring")}\n', 0o755))

elf = bytearray(open(HELLO, 'rb').read())
elf[18:20] = b'\xb7\x00'
refused(126, ['wrong architecture', 'AArch64'], 'run', '--on', 'qemu', work('arm', bytes(elf), 0o755), **NO)
elf[4], elf[18:20] = 1, b'\x03\x00'
refused(126, ['wrong architecture', 'i386'], 'run', '--on', 'qemu', work('i386', bytes(elf), 0o755), **NO)
refused(126, ['damaged ELF'], 'run', '--on', 'qemu', work('cut', open(HELLO, 'rb').read()[:100], 0o755), **NO)

# A missing library: which, and needed by whom.
compile_c('libgone.so', 'int gone(void){return 0;}', '-shared', '-fPIC', '-Wl,-soname,libgone.so.7')
compile_c('libmid.so', 'int gone(void);int mid(void){return gone();}', '-shared', '-fPIC', '-L' + WORK, '-lgone')
prog = compile_c('needy', 'int mid(void);int main(void){return mid();}', '-L' + WORK, '-lmid', '-Wl,-rpath,' + WORK,
                 '-Wl,--allow-shlib-undefined')
os.unlink(WORK + '/libgone.so')
refused(127, ['libgone.so.7', 'libmid.so', 'needy'], 'run', '--on', 'qemu', prog, **NO)

# A port that somebody has: said before anything starts.
with socket.socket() as s:
    s.bind(('0.0.0.0', 0))
    s.listen()
    port = s.getsockname()[1]
    refused(125, [f'port {port}/tcp', 'taken'], 'run', '--on', 'qemu', '-p', f'{port}:80', HELLO, **NO)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.bind(('0.0.0.0', 0))
    port = s.getsockname()[1]
    refused(125, [f'port {port}/udp', 'taken'], 'run', '--on', 'qemu', '-p', f'{port}:80/udp', HELLO, **NO)

# What is not installed is named with its package.
missing = {**NO, 'PATH': os.path.dirname(work('tools/none', ''))}
refused(125, ['mkfs.erofs is not installed', 'apt install erofs-utils'], 'run', '--on', 'qemu', '-e', 'NEW=1', '--gconv', HELLO,
        **missing)
drupe('build', '-o', work('ready.img'), HELLO)
refused(125, ['qemu-system-x86_64 is not installed', 'apt install qemu-system-x86'], 'run', '--on', 'qemu', work('ready.img'),
        **missing)
status, _, err = drupe('run', '--on', 'qemu', '--net', 'none', HELLO, **NO)
check(status == 125 and 'qemu' in err, 'QEMU\'s own message is shown', err)

# Random damage: an answer, never a crash.
random.seed(3)
good = open(HELLO, 'rb').read()
bad = []
for i in range(60):
    data = bytearray(good)
    for _ in range(random.randint(1, 6)):
        data[random.randrange(1024)] = random.choice([0, 255, 127, 128, random.randrange(256)])
    status, _, err = drupe('build', '-o', work('x.img'), work('damaged', bytes(data), 0o755))
    if status not in (0, 125, 126, 127):
        bad.append((i, status, err))
check(not bad, '60 damaged programs: an answer each time', bad)

# A damaged image.
drupe('build', '-o', work('good.img'), HELLO)
good, bad = open(work('good.img'), 'rb').read(), []
for i in range(25):
    data = bytearray(good[:random.choice([len(good), 2000, 5000])])
    for _ in range(20):
        at = random.randrange(1024, min(len(data), 12288))
        data[at] = random.randrange(256)
    status, _, err = drupe('run', '--on', 'qemu', '--net', 'none', '-u', 'nobody', work('bad.img', bytes(data), 0o755), **NO)
    if status not in (125, 126, 127):
        bad.append((i, status, err))
check(not bad, '25 damaged images: an answer each time', bad)

status, out, err = drupe('--help')
check(status == 0 and 'Usage: drupe' in out, 'help')
status, out, err = drupe('run', '--help')
check(status == 0 and '--machine' in out, 'help for run')
status, out, err = drupe('version')
check(status == 0 and out.startswith('drupe '), 'version')
done()
