#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""eBPF programs in a running instance, over its control socket: at system calls, tracepoints and timers; what clang makes of usual sources; many
clients that come and go under load."""
import os
import struct
import time

from bpfd import (AREAS, ALL_CALLS, ARRAY, AT_ENTRY, AT_EXIT, AT_INTERVAL, AT_POINT, AT_PROFILE, CTX_ENTRY, CTX_EXIT, CTX_POINT, CTX_REGS, EXIT, HASH, PERF,
                  RECORD_PERF, RECORD_PRINT, RECORD_RINGBUF, RINGBUF, STACKS, SYMBOL, Client, Refused, add, add_to, call, compile_object, count_by, have_clang, jeq, ld_map,
                  ldx, mov, movx, st, stx)
from lib import ON, check, command, done, own_list, same, until

work = own_list('bpf')
RUN = os.environ['DRUPE_RUN']
NR = dict(read=0, write=1, openat=257, getpid=39, getppid=110, clone=56, execve=59, exit_group=231, vfork=58)


def ld64(d, v): return struct.pack('<BBhI', 0x18, d, 0, v & 0xffffffff) + struct.pack('<BBhI', 0, 0, 0, v >> 32)


status, out, err = command('run', *ON, '-d', '--name', 'sh', '--net', 'none', '--add', '/bin/true', '/bin/sh', '-c',
                           'while :; do /bin/true; : < /etc/passwd; done')
check(status == 0, 'run -d', err)

# --- system calls -------------------------------------------------------------------------------
for flags, how in ((0, 'compiled'), (1, 'interpreted')):
    c = Client(RUN, flags)
    c.map(0, ARRAY, 4, 8, 512)
    c.map(1, ARRAY, 4, 8, 512)
    same(c.load(0, CTX_ENTRY, count_by(0, 8)), 1 - flags, f'{how}: load')
    c.load(1, CTX_EXIT, count_by(1, 8))
    a = c.attach(0, AT_ENTRY, ALL_CALLS)
    b = c.attach(1, AT_EXIT, ALL_CALLS)
    both = until(lambda: c.u64(0, NR['openat']) > 5 and c.u64(1, NR['openat']) > 5 and c.u64(1, NR['execve']) > 1 and c.u64(0, NR['exit_group']) > 2)
    check(both, f'{how}: entries and exits of all calls, of execve, too', (c.u64(0, 257), c.u64(1, 257), c.u64(1, 59)))
    same(c.u64(1, NR['exit_group']), 0, f'{how}: what does not return has no exit')
    c.detach(a)
    c.detach(b)
    before = c.u64(0, NR['openat'])
    time.sleep(0.1)
    same(c.u64(0, NR['openat']), before, f'{how}: nothing runs after the detaching')
    runs, missed = c.stats(0)
    check(runs > 20 and missed == 0, f'{how}: runs are counted', (runs, missed))
    c.close()

c = Client(RUN)
c.map(0, RINGBUF, 0, 0, 65536)
# openat: its name, by probe_read_user_str(); behind it pid_tgid
c.load(0, CTX_ENTRY, movx(6, 1) + st(10, -8, 0) + ldx(3, 6, 16 + 8) + movx(1, 10) + add(1, -64) + mov(2, 48) + call(114) + call(14) + stx(10, -16, 0) +
       movx(2, 10) + add(2, -64) + ld_map(1, 0) + mov(3, 64) + mov(4, 0) + call(130) + mov(0, 0) + EXIT)
c.attach(0, AT_ENTRY, NR['openat'])
names = set()
until(lambda: names.update(r[3].split(b'\0')[0] for r in c.flush() if r[0] == RECORD_RINGBUF) or b'/etc/passwd' in names)
check(b'/etc/passwd' in names, 'names of opened files', names)
c.close()

# --- tracepoints, perf_event_output(), trace_printk(), stacks ---------------------------------------
c = Client(RUN)
points = c.points()
check({'sched:switch', 'mm:fault', 'process:exec'} <= set(points), 'the list of tracepoints', points)
c.map(0, PERF, 4, 4, 0)
c.map(1, STACKS, 4, 8 * 20, 512)
c.load(0, CTX_POINT, movx(6, 1) + ldx(3, 6, 8) + movx(1, 10) + add(1, -32) + mov(2, 32) + call(115) + movx(1, 6) + ld_map(2, 0) +
       ld64(3, 0xffffffff) + movx(4, 10) + add(4, -32) + mov(5, 32) + call(25) + mov(0, 0) + EXIT)
c.attach(0, AT_POINT, points['process:exec'])
got = until(lambda: [r[3].split(b'\0')[0] for r in c.flush() if r[0] == RECORD_PERF])
check(got and set(got) == {b'/bin/true'}, 'process:exec by perf_event_output(): the string field', got)
text = b'%d faults\0'.ljust(16, b'\0')
lo, hi = struct.unpack('<QQ', text)
c.load(1, CTX_POINT, movx(6, 1) + ld_map(2, 1) + mov(3, 0) + call(27) + movx(3, 0) + ld64(1, lo) + stx(10, -16, 1) + ld64(1, hi) + stx(10, -8, 1) + movx(1, 10) +
       add(1, -16) + mov(2, 10) + call(6) + mov(0, 0) + EXIT)
c.attach(1, AT_POINT, points['mm:fault'])
got = until(lambda: [r[3] for r in c.flush() if r[0] == RECORD_PRINT])
check(got and got[0].endswith(b' faults') and int(got[0].split()[0]) >= 0, 'trace_printk()', got)
stacks = [struct.unpack('<20Q', v) for v in c.dump(1, 4, 160).values()]


def symbol(address):
    return c.ask(SYMBOL, struct.pack('<Q', address))[1].decode()


kernel = {symbol(a).split('+')[0] for s in stacks for a in s if a}
check(any('fault' in k for k in kernel) and not any('bpf' in k for k in kernel), 'stacks of the kernel have names', kernel)
check(b'/true' in c.ask(AREAS, struct.pack('<II', 1, 0))[1] or b'/sh' in c.ask(AREAS, struct.pack('<II', 1, 0))[1] or
      b'/dash' in c.ask(AREAS, struct.pack('<II', 1, 0))[1], 'areas of a process')
c.close()

# --- refusals ---------------------------------------------------------------------------------------------
c = Client(RUN)
try:
    c.load(0, CTX_ENTRY, mov(2, 0) + ldx(0, 2, 0) + EXIT)
    check(False, 'a number is no address')
except Refused as e:
    check(e.error == -13 and e.insn == 1 and 'address' in e.text, 'a refusal says where and why', e)
c.close()

# --- timers -------------------------------------------------------------------------------------------------
c = Client(RUN)
c.map(0, ARRAY, 4, 8, 4)
one = st(10, -8, 0) + movx(2, 10) + add(2, -8) + ld_map(1, 0) + call(1) + jeq(0, 0, 2) + mov(1, 1) + add_to(0, 0, 1) + mov(0, 0) + EXIT
c.load(0, CTX_REGS, one)
c.attach(0, AT_INTERVAL, value=2000000)
check(until(lambda: c.u64(0, 0) > 50), 'interval', c.u64(0, 0))
c.map(1, STACKS, 4, 8 * 20, 512)
c.load(1, CTX_REGS, mov(3, 0x100) + ld_map(2, 1) + call(27) + mov(0, 0) + EXIT)
c.attach(1, AT_PROFILE, 500)
check(until(lambda: len(c.dump(1, 4, 160)) > 3), 'profile: stacks of programs')
c.close()

# --- what clang makes of it -------------------------------------------------------------------------------------
SOURCE = r'''
typedef unsigned long long u64; typedef unsigned u32; typedef int s32; typedef long long s64;
#define SEC(n) __attribute__((section(n), used))
static void *(*lookup)(void *, const void *) = (void *)1;
static long (*update)(void *, const void *, const void *, u64) = (void *)2;
static long (*delete_elem)(void *, const void *) = (void *)3;
static u64 (*ktime)(void) = (void *)5;
static u64 (*pid_tgid)(void) = (void *)14;
static long (*comm)(void *, u32) = (void *)16;
static long (*read_user_str)(void *, u32, const void *) = (void *)114;
static void *(*reserve)(void *, u64, u64) = (void *)131;
static void (*submit)(void *, u64) = (void *)132;
struct { int x; } map_0 SEC("maps"), map_1 SEC("maps"), map_2 SEC("maps"), map_3 SEC("maps");
struct entry { u64 common; s64 id; u64 args[6]; };
struct exit { u64 common; s64 id; s64 ret; };
struct event { u64 ns; u32 pid; s32 ret; char comm[16]; char name[64]; };
struct start { u64 ns; const char *name; };

SEC("entry") int at_entry(struct entry *c)
{
    u64 id = pid_tgid();
    struct start s = { ktime(), (const char *)c->args[1] };
    if (c->id != 257)
        return 0;
    update(&map_0, &id, &s, 0);
    return 0;
}

SEC("exit") int at_exit(struct exit *c)
{
    u64 id = pid_tgid();
    struct start *s = lookup(&map_0, &id);
    if (!s)
        return 0;
    struct event *e = reserve(&map_1, sizeof(*e), 0);
    if (e) {
        e->ns = ktime() - s->ns;
        e->pid = id >> 32;
        e->ret = c->ret;
        comm(e->comm, sizeof(e->comm));
        read_user_str(e->name, sizeof(e->name), s->name);
        submit(e, 0);
    }
    delete_elem(&map_0, &id);
    return 0;
}

static SEC("hist") __attribute__((noinline)) u32 log2_of(u64 v);

SEC("hist") int histogram(struct exit *c)
{
    u32 slot = log2_of(c->ret < 0 ? 0 : c->ret), zero = 0;
    if (slot > 63)
        slot = 63;
    u64 *v = lookup(&map_2, &zero);
    if (v)
        __sync_fetch_and_add(&v[slot], 1);
    return 0;
}

/* behind its caller: a program begins with its entry */
static u32 log2_of(u64 v)
{
    u32 r = 0;
    for (int i = 0; i < 6; i++) {
        u32 s = 32 >> i;
        if (v >> s) { v >>= s; r += s; }
    }
    return r;
}

SEC("loop") int sum(struct entry *c)
{
    char name[32] = {}; u32 key = 0, n = 0;
    comm(name, sizeof(name));
    for (int i = 0; i < 16 && name[i]; i++)
        n += name[i] == 't';
    u64 *v = lookup(&map_3, &key);
    if (v && n)
        *v += n;
    return 0;
}
'''


def with_clang(*options):
    code = compile_object(SOURCE, work.name, *options)
    c = Client(RUN)
    c.map(0, HASH, 8, 16, 1024)
    c.map(1, RINGBUF, 0, 0, 1 << 18)
    c.map(2, ARRAY, 4, 8 * 64, 1)
    c.map(3, ARRAY, 4, 8, 1)
    c.load(0, CTX_ENTRY, code['entry'])
    c.load(1, CTX_EXIT, code['exit'])
    c.load(3, CTX_ENTRY, code['loop'])
    c.load(2, CTX_EXIT, code['hist'])
    c.attach(2, AT_EXIT, ALL_CALLS)
    c.attach(0, AT_ENTRY, NR['openat'])
    c.attach(1, AT_EXIT, NR['openat'])
    c.attach(3, AT_ENTRY, ALL_CALLS)
    events = []
    until(lambda: events.extend(struct.unpack('<QIi16s64s', r[3]) for r in c.flush() if r[0] == RECORD_RINGBUF) or
          {b'/etc/passwd'} <= {e[4].split(b'\0')[0] for e in events})
    found = [e for e in events if e[4].startswith(b'/etc/passwd\0')]
    check(found and found[0][2] >= 0 and found[0][1] >= 1 and found[0][3].startswith(b'sh\0'), f'clang {options}: openat with name, time and result', events[:3])
    check(until(lambda: c.u64(3, 0) > 0), f'clang {options}: a loop over a string')
    slots = struct.unpack('<64Q', c.lookup(2, struct.pack('<I', 0)))
    check(sum(slots) > 0, f'clang {options}: a histogram', slots)
    c.close()


if have_clang():
    for cpu in ('v1', 'v2', 'v3'):
        with_clang('-mcpu=' + cpu)

# --- come and go under load ------------------------------------------------------------------------------------------
for i in range(40):
    c = Client(RUN, i & 1)
    c.map(0, ARRAY, 4, 8, 512)
    c.load(0, CTX_ENTRY, count_by(0, 8))
    c.load(1, CTX_POINT, count_by(0, 8))
    c.attach(0, AT_ENTRY, ALL_CALLS)
    c.attach(1, AT_POINT, points['sched:switch'])
    c.attach(1, AT_POINT, points['mm:fault'])
    c.close()
c = Client(RUN)
c.map(0, ARRAY, 4, 8, 512)
c.load(0, CTX_ENTRY, count_by(0, 8))
c.attach(0, AT_ENTRY, ALL_CALLS)
check(until(lambda: c.u64(0, NR['openat']) > 3), 'forty clients came and went')
c.close()
done()
