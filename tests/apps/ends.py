#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How programs and machines end: exit statuses, signals, crash reports, stop requests."""
import signal
import subprocess

from lib import DRUPE, ON, build_file, check, done, drupe, same, until


MACHINE_NAME = 'drupe-kernel' if ON[1] == 'host' else 'qemu'


def alive(pid):
    """Ended but not yet collected by init does not count."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError:
        return False


die = build_file('die')
for how, want in (('0', 0), ('42', 42), ('255', 255), ('thread', 7)):
    same(drupe(die, how)[0], want, f'exit {how}: {want}')
for how, sig in (('segv', signal.SIGSEGV), ('abort', signal.SIGABRT), ('term', signal.SIGTERM), ('ill', signal.SIGILL),
                 ('stack', signal.SIGSEGV)):
    status, out, err = drupe(die, how)
    same(status, 128 + sig, f'killed by {sig.name}: {128 + sig}')
    check(sig.name in err, f'the report names {sig.name}', err)
status, out, err = drupe(die, 'segv')
check('die+0x' in err and '(write_to_nowhere+0x' in err, 'the report says where: file and function', err)
status, out, err = drupe('-m', '32M', die, 'memory')
check(status in (9, 137), 'out of memory: an errno or a reported end, never a hang', (status, out, err))
check('memory' in (out.decode() + err).lower(), 'and says so', err)

# Little by little, until the program's own code hardly fits any more: no crawling on for hours.
status, out, err = drupe('-m', '48M', '/usr/bin/python3', '-c', 'a = []\nwhile True: a.append(bytes(100))', timeout=300)
same(status, 137, 'out of memory by small pieces: ended')
check('out of memory' in err, 'and says so', err)

for sig, want, how in ((signal.SIGINT, 130, 'wait'), (signal.SIGTERM, 143, 'wait'), (signal.SIGTERM, 143, 'spin')):
    p = subprocess.Popen([DRUPE, 'run', *ON, die, how], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    same(p.stdout.readline(), b'waiting\n', f'the program is there ({how})')
    p.send_signal(sig)
    try:
        status = p.wait(60)
    except subprocess.TimeoutExpired:
        status = 'timeout'
        p.kill()
    same(status, want, f'{sig.name} stops it ({how}): {want}')
    p.stdout.close()

p = subprocess.Popen([DRUPE, 'run', *ON, die, 'wait'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE)
p.stdout.readline()
children = subprocess.run(['pgrep', '-P', str(p.pid)], capture_output=True, text=True).stdout.split()
machine = [c for c in children if MACHINE_NAME in open(f'/proc/{c}/comm').read()]
check(len(machine) == 1, f'one {MACHINE_NAME} below drupe', children)
for c in machine:
    subprocess.run(['kill', '-9', c])
try:
    status = p.wait(60)
except subprocess.TimeoutExpired:
    status = 'timeout'
    p.kill()
same(status, 125, 'a machine that dies without a word: 125')
err = p.stderr.read().decode()
check(err.strip() != '', 'and drupe says so', err)

p = subprocess.Popen([DRUPE, 'run', *ON, die, 'wait'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                     stderr=subprocess.DEVNULL)
p.stdout.readline()
children = subprocess.run(['pgrep', '-P', str(p.pid)], capture_output=True, text=True).stdout.split()
p.kill()
p.wait()
until(lambda: not any(map(alive, children)))
same([c for c in children if alive(c)], [], 'nothing is left when drupe is killed')
done()
