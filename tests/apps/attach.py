#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever looks at a running instance, attached and detached under load, in turn and several at a time, some of it killed: nothing stays behind in the
kernel, in the instance's processes, in its memory, and the program answers as fast as before: attach.py DRUPE BUILD --on PLATFORM [ROUNDS]"""
import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import time

import channel
from bpfd import ALL_CALLS, AREAS, ARRAY, AT_ENTRY, AT_FUNCTION, AT_POINT, AT_PROFILE, AT_RETURN, CTX_ENTRY, CTX_POINT, CTX_REGS, EXIT, HASH, RINGBUF, SYMBOL, Client, mov
from channel import DATA, data, opening

rounds = int(sys.argv.pop()) if sys.argv[-1].isdigit() else 40
from beside import free_port
from lib import DRUPE, ON, check, command, counters, done, own_list, same, talk, until

ABI = pathlib.Path(__file__).parents[2] / 'abi' / 'trace.h'
TRACE_VERSION = int(re.search(r'TRACE_VERSION (\d+)u', ABI.read_text()).group(1))
HELLO, THREADS, RESUME, BREAK, UNBREAK, EVENT, BREAKPOINT = 1, 2, 4, 9, 10, 64, 2
BINARY = os.path.realpath('/usr/bin/redis-server')
ALONE = {'gdb', 'profile'} # which only one may have
work = own_list('attach')
RUN = os.environ['DRUPE_RUN']
random.seed(8)


# --- by the control socket -------------------------------------------------------------------------

class Debug:
    """A conversation of abi/debug.h with redis, whose threads stop as long as nobody lets them go on."""
    def __init__(self):
        self.s, self.events = channel.connect(RUN), []
        self.s.send(opening(b'debug', b'2'))

    def message(self):
        return channel.receive_whole(self.s)

    def ask(self, op, tid=0, how=0, addr=0, value=0, more=b''):
        self.s.send(data(struct.pack('<IIIIQQ', op, tid, how, 0, addr, value) + more))
        while True:
            m = self.message()
            if struct.unpack('<I', m[:4])[0] == EVENT:
                self.events.append(struct.unpack('<IIIIQ', m[:24]))
                continue
            error, result = struct.unpack('<iQ', m[4:16])
            return error, result, m[16:]

    def event(self, kind=None, tid=None):
        """The first that has not been taken."""
        while True:
            for e in self.events:
                if kind in (None, e[1]) and tid in (None, e[2]):
                    self.events.remove(e)
                    return e
            self.events.append(struct.unpack('<IIIIQ', self.message()[:24]))

    def close(self):
        self.s.close()


def trace_open(points=0, calls=b'\xff' * 64, path=b'', flags=0):
    return (struct.pack('<IIII', TRACE_VERSION, flags, 0, 32) + calls + struct.pack('<Q', points) + b'\xff' * 32 + struct.pack('<I', 0) + bytes(14 * 4) +
            path.ljust(256, b'\0') + bytes(4))


def watch(name, args, first=b''):
    """What tells by itself, or when asked: its first words are read, then it is gone without one."""
    s = channel.connect(RUN)
    s.send(opening(name, args))
    if first:
        s.send(data(first))
    kind, error, text = channel.receive(s)
    assert kind == DATA, (name, kind, error, text)
    return s


def bpf():
    c = Client(RUN)
    c.map(0, ARRAY, 4, 8, 64)
    c.map(1, HASH, 8, 8, 1024)
    c.map(2, RINGBUF, 0, 0, 65536)
    for i, ctx in enumerate((CTX_ENTRY, CTX_POINT, CTX_REGS)):
        c.load(i, ctx, mov(0, 0) + EXIT)
    places = [(0, AT_ENTRY, ALL_CALLS, 0, ''), (1, AT_POINT, points['mm:fault'], 0, ''), (2, AT_PROFILE, 99, 0, ''), (2, AT_FUNCTION, 0, probed_kernel, ''),
              (2, AT_RETURN, 0, probed_kernel, ''), (2, AT_FUNCTION, 0, probed_program, BINARY), (2, AT_RETURN, 0, probed_program, BINARY)]
    kept = [c.attach(*p) for p in random.sample(places, 3)]
    for k in kept[:random.randrange(4)]: # the others go with it
        c.detach(k)
    return c


def debug():
    d = Debug()
    assert d.ask(HELLO)[0] == 0
    assert d.ask(BREAK, addr=break_at)[0] == 0
    for t in threads:
        d.event(tid=t)
        assert d.ask(RESUME, tid=t)[0] == 0
    t = d.event(kind=BREAKPOINT)[2]
    if random.randrange(2): # else it goes with it
        assert d.ask(UNBREAK, addr=break_at)[0] == 0
        assert d.ask(RESUME, tid=t)[0] == 0
    return d


KINDS = {'strace': lambda: watch(b'trace', trace_open()), 'strace -c': lambda: watch(b'trace', trace_open(flags=1)),
         'strace -P': lambda: watch(b'trace', trace_open(path=b'/etc/passwd')),
         'tracepoints': lambda: watch(b'trace', trace_open(sum(1 << n for n in points.values()), bytes(64))), 'profile': lambda: watch(b'profile', b'999'),
         'stats': lambda: watch(b'stats', b'', b'?'), 'top': lambda: watch(b'tasks', b'', b'?'), 'pcap': lambda: watch(b'pcap', b'96'), 'bpf': bpf, 'gdb': debug}


def attach(kind):
    """What is to be closed. A service that just sees off its last client is asked again."""
    def ask():
        try:
            return KINDS[kind]()
        except (AssertionError, EOFError) as e:
            if not re.search('too many|already', str(e)):
                raise
    got = until(ask)
    assert got, kind
    return got


# --- by the command ------------------------------------------------------------------------------------

def rsp(address):
    """What a debugger says that sets a breakpoint, lets the program run into it, and leaves."""
    return b''.join(b'$' + t + b'#%02x' % (sum(t) & 255) for t in (b'qSupported', b'QStartNoAckMode', b'?', b'Z0,%x,1' % address, b'c'))


def by_command(i, told, tries=50):
    """One of each kind in turn, left alone until it says something, then ended: by ^C or, one of three, by SIGKILL. What was wrong, or None."""
    uprobes = f'uprobe:{BINARY}:processCommand {{ @u = count(); }} uretprobe:{BINARY}:processCommand {{ @v = count(); }}'
    words = [('strace', '-e', 'trace=read', '-o', told, 'r'), ('strace', '-c', '-o', told, 'r'), ('strace', '-e', 'fd=7', '-o', told, 'r'), ('trace', '-o', told, '-e', 'sched:*', 'r'),
             ('trace', '-o', told, 'syscall:read { @n = count(); @h[tid] = hist(ret); } interval:ms:10 { print(@n); }', 'r'),
             ('trace', '-o', told, f'kprobe:sys_getppid {{ @k = count(); }} {uprobes} interval:ms:10 {{ print(@u); }}', 'r'),
             ('profile', '-d', '1', 'r'), ('stats', '-f', 'r'), ('top', '-b', 'r'), ('stack', 'r'), ('pcap', '-w', told, 'r'), ('gdb', '--server', '-p', '2', 'r')][i % 12]
    with open(told, 'w+b') as out:
        p = subprocess.Popen([DRUPE, *words], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE)
        if words[0] == 'gdb':
            with contextlib.suppress(BrokenPipeError): # it was refused
                p.stdin.write(rsp(break_at))
                p.stdin.flush()
        until(lambda: os.path.getsize(told) > 0 or p.poll() is not None, 2)
        killed = random.randrange(3) == 0
        if killed or words[0] != 'stack': # which ends by itself
            p.send_signal(signal.SIGKILL if killed else signal.SIGINT)
        err = p.communicate(timeout=120)[1].decode(errors='replace')
        if 'already' in err and tries > 0: # the one before is just being seen off
            return by_command(i, told, tries - 1)
        return None if killed or p.returncode in (0, -2, 130) else (words, p.returncode, err)


# --- what must be where it was -----------------------------------------------------------------------------

def below(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        return [pid, *(b for c in f.read().split() for b in below(int(c)))]


def host_processes():
    """The tender and all below it: {pid: [name, threads, descriptors, KiB resident]}."""
    found = {}
    for pid in below(tender):
        with open(f'/proc/{pid}/status') as f:
            said = dict(l.split(':', 1) for l in f.read().splitlines())
        name, fds = said['Name'].strip(), len(os.listdir(f'/proc/{pid}/fd'))
        ours = not name.startswith('qemu') # whose threads come and go, and which keeps what it translated
        found[pid] = [name, int(said['Threads']) if ours else 0, fds, int(said['VmRSS'].split()[0]) if ours else 0]
    return found


def areas():
    c = Client(RUN)
    text = b''
    while part := c.ask(AREAS, struct.pack('<II', 2, len(text)))[1]:
        text += part
    c.close()
    return text.decode().splitlines()


def slabs():
    """Objects of each, as the program's own shell sees them."""
    before = command('logs', 'r')[1].count('counted')
    command('kill', '-s', 'USR1', 'r')
    said = until(lambda: (t := command('logs', 'r')[1]).count('counted') > before and t)
    return {l.split()[0]: int(l.split()[1]) for l in said.split('counted')[-2].splitlines() if re.match(r'\S+ +\d+ +\d+ +\d+ ', l)}


def text_of(places):
    """What is really in memory there, of an instance that is processes: nobody's view of it."""
    found = {}
    for pid in below(tender)[1:] if ON[1] == 'host' else []:
        with open(f'/proc/{pid}/mem', 'rb', 0) as f, contextlib.suppress(OSError): # not the user network, nor a shell's space
            found[pid] = [os.pread(f.fileno(), 64, at) for at in places]
    return found


def throughput():
    r = subprocess.run(['redis-benchmark', '-p', str(port), '-t', 'get', '-n', '20000', '-c', '4', '--csv'], capture_output=True, text=True, timeout=300)
    return float(r.stdout.splitlines()[-1].split(',')[1].strip('"'))


def quiet():
    """Counted when nothing runs: the load stands still."""
    load.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    c = counters('r')
    now = host_processes(), slabs(), areas(), c['memory_bytes', 'kernel'] + c['memory_bytes', 'slab'], sorted(os.listdir(directory))
    load.send_signal(signal.SIGCONT)
    return now


def grown(a, b):
    """What there is more of, beyond what a load in flight makes."""
    hosts_a, slabs_a, areas_a, kernel_a, files_a = a
    hosts_b, slabs_b, areas_b, kernel_b, files_b = b
    more = {n: (slabs_a.get(n, 0), v) for n, v in slabs_b.items() if v > slabs_a.get(n, 0) + 40}
    wrong = [('slabs', more)] if more else []
    wrong += [('areas', len(areas_a), len(areas_b))] if len(areas_b) > len(areas_a) + 4 else []
    wrong += [('kernel', kernel_a, kernel_b)] if kernel_b > kernel_a + (256 << 10) else []
    wrong += [('files', files_a, files_b)] if files_a != files_b else []
    wrong += [('processes', hosts_a, hosts_b)] if [h[:2] for h in hosts_a.values()] != [h[:2] for h in hosts_b.values()] else []
    wrong += [(hosts_a[p], h) for p, h in hosts_b.items() if p in hosts_a and (h[2] > hosts_a[p][2] + 16 or h[3] > hosts_a[p][3] + (8 << 10))]
    return wrong


# --- ten thousand times ---------------------------------------------------------------------------------------

def cycle(n):
    """n attachments by the socket, up to six at a time, leaving in any order, and beside them one by the command for thirty of those. What was wrong."""
    kept, failed = [], []
    for i in range(n):
        if i % 10 == 0 and kept: # gdb
            kept.pop().close()
        if i % 30 == 0:
            failed += [w for w in [by_command(next(commands), work.name + '/told')] if w]
        kind = list(KINDS)[i % 10]
        if kind in ALONE or len(kept) == 6:
            random.shuffle(kept)
            while len(kept) > (0 if kind in ALONE else random.randrange(6)):
                kept.pop().close()
        kept.append(attach(kind))
    while kept:
        kept.pop().close()
    return failed


def place_of(name):
    """(its offset in redis-server's file, its address there)."""
    def words(*args):
        return [l.split() for l in subprocess.run(['readelf', '-W', *args, BINARY], capture_output=True, text=True).stdout.splitlines()]
    at = next(int(l[1], 16) for l in words('--dyn-syms') if len(l) == 8 and l[7] == name)
    loads = [[int(w, 16) for w in l[1:6]] for l in words('-l') if l[:1] == ['LOAD']]
    return next(at - vaddr + off for off, vaddr, _, size, _ in loads if vaddr <= at < vaddr + size), at


port = free_port()
status, out, err = command('run', *ON, '-d', '--name', 'r', '-p', f'127.0.0.1:{port}:6379', '--add', '/usr/bin/redis-server', '--add', '/bin/cat', '/bin/sh', '-c', """
trap '/bin/cat /proc/slabinfo; echo counted' USR1
redis-server --save '' --protected-mode no > /dev/null &
while :; do wait; done""")
same(status, 0, 'run -d')
same(until(lambda: talk(port, b'PING\r\n')), b'+PONG\r\n', 'it answers')
directory = os.path.join(RUN, [n for n in os.listdir(RUN) if not n.startswith('.')][0])
tender = json.loads(command('inspect', 'r')[1])[0]['Pid']
load = subprocess.Popen(['redis-benchmark', '-p', str(port), '-t', 'get', '-n', '1000000000', '-q', '-c', '4'], stdout=subprocess.DEVNULL)
commands = itertools.count()
try:
    c = Client(RUN)
    points, probed_kernel = c.points(), c.ask(SYMBOL, struct.pack('<Q', 0) + b'sys_epoll_wait')[0]
    c.close()
    probed_program, break_at = place_of('processCommand')
    d = Debug()
    threads = [t for t, _ in struct.iter_unpack('<I20s', d.ask(THREADS)[2])]
    break_at += int(next(l for l in areas() if l.endswith(BINARY)).split('-')[0], 16)
    d.close()
    cycle(rounds // 10 + 20) # the first ones make what stays
    before, text, speed = quiet(), text_of([break_at, probed_kernel]), throughput() if rounds >= 1000 else 0
    began = time.monotonic()
    failed = cycle(rounds)
    print(f'# {rounds} and {next(commands)} commands in all; {time.monotonic() - began:.0f} s')
    check(not failed, f'{rounds} clients attach and detach under load', failed[:5])
    check(load.poll() is None, 'the load has seen no error', load.poll())
    check(until(lambda: not grown(before, quiet())), 'nothing stays behind', grown(before, quiet()))
    same(text_of([break_at, probed_kernel]), text, 'no probe and no breakpoint is left in memory')
    speeds = [speed]
    if rounds >= 1000: # a short one says nothing on a machine that others use
        check(until(lambda: speeds.append(throughput()) or speeds[-1] > speed / 2), 'the program is as fast as before', speeds)
    print('# requests a second:', speeds, '; processes:', before[0], quiet()[0])
    same(talk(port, b'INFO errorstats\r\n', b'Errorstats').count(b'errorstat_'), 0, 'and has made no error')
finally:
    load.kill()
    load.wait()
    command('rm', '-f', 'r')
done()
