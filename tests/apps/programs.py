#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""eBPF programs in a running instance: what they count is what is known to have happened there. In words, as object files; refused ones; clients that
are killed leave nothing behind."""
import os
import re
import signal
import subprocess
import tempfile
import time

from lib import BUILD, DRUPE, ON, check, command, counters, done, own_list, same, until

work = own_list('programs')
OBJECT = os.path.join(BUILD, '..', 'host', 'test', 'reads.bpf.o')


class Trace:
    """drupe trace in the background, until its programs are in place."""

    def __init__(self, *args, of='sh'):
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.p = subprocess.Popen([DRUPE, 'trace', *args, of], stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err)
        self.wait(lambda: b' place' in self.text(self.err))

    def wait(self, good):
        until(lambda: good() or self.p.poll() is not None)

    @staticmethod
    def text(f):
        return os.pread(f.fileno(), 1 << 20, 0)

    def end(self, sig=0):
        if sig:
            self.p.send_signal(sig)
        try:
            status = self.p.wait(120)
        except subprocess.TimeoutExpired:
            self.p.kill()
            status = 'timeout'
        return status, self.text(self.out).decode(errors='replace'), self.text(self.err).decode(errors='replace')


def run(name, *args):
    """An instance that says when it is ready."""
    status, out, err = command('run', *ON, '-d', '--name', name, '--net', 'none', *args)
    check(status == 0, 'run -d', err)
    until(lambda: 'ready' in command('logs', name)[1])


def dd():
    """A hundred reads of one byte, there."""
    command('kill', '-s', 'USR1', 'sh')


def memory():
    now = counters('sh')
    return now['memory_bytes', 'kernel'] + now['memory_bytes', 'slab']


run('sh', '--add', '/bin/dd', '--add', '/bin/sleep', '/bin/sh', '-c',
    "trap 'kill $!; dd if=/dev/zero of=/dev/null bs=1 count=100 2>/dev/null' USR1; echo ready; while :; do sleep 60 & wait $!; done")

# --- words ----------------------------------------------------------------------------------------

BAR = '@' * 52
t = Trace('''
syscall:read /comm == "dd" && fd == 0/ {
    @n = count(); @h = hist(ret); @l = lhist(ret, 0, 10, 5); @total += ret; @stats[comm, fd] = stats(args.count); @most = max(ret); @least = min(ret - 2);
}
tracepoint:syscalls:sys_enter_write /comm == "dd" && args->fd == 1/ { @w[probe, args.count] = count(); }
tracepoint:syscalls:sys_enter_openat /comm == "dd" && strncmp(str(args.filename), "/dev/zero", 9) == 0/ { printf("%s opens %s\\n", comm, str(args.filename)); }
process:exec { printf("%s begins\\n", args.program); }
tracepoint:syscalls:sys_enter_exit_group /comm == "dd"/ { exit(); }
BEGIN { printf("begin\\n"); } END { printf("end\\n"); }''')
dd()
status, out, err = t.end()
want = f'''begin
/usr/bin/dd begins
dd opens /dev/zero
end

@h: 
[1]                  100 |{BAR}|

@l: 
[0, 5)               100 |{BAR}|

@least: -1
@most: 1
@n: 100
@stats[dd, 0]: count 100, average 1, total 100

@total: 100
@w[tracepoint:syscalls:sys_enter_write, 1]: 100

'''
same((status, out.replace('/bin/dd', '/usr/bin/dd').replace('/usr/usr', '/usr')), (0, want), 'a hundred reads of dd are a hundred')
check('missed' not in err and 'lost' not in err, 'none was missed', err)

# Each is an expression and what it is.
VALUES = [('-7 / 2', -3), ('-7 % 3', -1), ('7 / -2', -3), ('1 << 3', 8), ('-5 >> 1', -3), ('1 << 64', 0), ('(uint8)300', 44), ('(int8)200', -56),
          ('!1', 0), ('~1', -2), ('1 == 2 || 3 < 4 && 5', 1), ('2 + 3 * 4 - 1', 13), ('6 & 3 | 8 ^ 1', 11), ('strncmp("abc", "abd", 2)', 0),
          ('strncmp("abc", "abd", 3)', 1), ('"x" == "x"', 1), ('"x" != "xy"', 1), ('"longer text" == "longer texts"', 0), ('1 ? 2 : 3', 2), ('$i', 7),
          ('$t.0', 1), ('($t.2).1', 4), ('$t.1', 'two'), ('@unset + 0', 0), ('@never["x"]', 0), ('-1 < 1', 1), ('nsecs > 1', 1), ('1e3', 1000),
          ('0xff', 255), ('pid > 0 || pid == 0', 1), ('$i > 3 ? "big" : "little"', 'big'), ('5 / @unset', 0), ('@y + 0', 3), ('@z + 0', -3), ('@s["k"]', 'text')]
program = '''BEGIN { $i = 0; while ($i < 10) { $i++; if ($i == 5) { continue; } if ($i > 7) { break; } $kept = $i; } $i = $kept; unroll(3) { @y++; --@z; }
 $t = (1, "two", (3, 4)); @s["k"] = "text"; @t["k"] = 1; delete(@t["k"]); @u[1] = 5; @v[1] = count();''' + \
    ''.join(f'print({e}); ' for e, v in VALUES) + \
    'printf("%x|%s|%c|%5d|%-4s|%%|%p|%08x\\n", 255, "a", 65, 3, "b", 16, 255); print((1, (2, "y"))); clear(@u); zero(@v); print(@s); exit(); } ' + \
    'END { @unset = 0; @never["y"] = 1; clear(@never); }'
t = Trace(program)
status, out, err = t.end()
lines = out.splitlines()
wrong = [(e, v, got) for (e, v), got in zip(VALUES, lines) if got != str(v)]
check(status == 0 and not wrong and len(lines) > len(VALUES), f'{len(VALUES)} expressions', (status, wrong, out[-500:], err))
same(lines[len(VALUES):], ['ff|a|A|    3|b   |%|0x10|000000ff', '(1, (2, y))', '@s[k]: text', '', '', '@s[k]: text', '', '@unset: 0', '@v[1]: 0', '', '@y: 3', '@z: -3'],
     'printf(), print(), clear(), zero(), delete()')
t = Trace('interval:ms:20 { @i++; print(@i); if (@i >= 3) { exit(); } }')
status, out, err = t.end()
seen = [int(n) for n in re.findall(r'^@i: (\d+)$', out, re.M)]
check(status == 0 and len(seen) >= 4 and seen == sorted(seen) and seen[-1] >= 3, 'a timer', (status, out, err))
t = Trace('BEGIN { while (1) { @x++; } }')
status, out, err = t.end(signal.SIGINT)
check(status == 0 and '@x: 256' in out and 'a while did not end' in err, 'a while without an end ends; ^C prints the maps', (status, out, err))
open(work.name + '/script.bt', 'w').write('// counts\nsyscall:* /comm == "dd"/ { @[probe] = count(); }\ntracepoint:syscalls:sys_enter_exit_group /comm == "dd"/ { exit(); }\n')
t = Trace('-f', work.name + '/script.bt', '-o', work.name + '/out')
dd()
status, out, err = t.end()
out = open(work.name + '/out').read()
check(status == 0 and '@[syscall:write]: 103\n' in out and '@[syscall:read]: 101\n' in out, 'a script from a file; -o', (status, out, err))

# --- object files -----------------------------------------------------------------------------------

t = Trace('-f', OBJECT)
dd()
t.wait(lambda: Trace.text(t.out).count(b'events: ') >= 100)
status, out, err = t.end(signal.SIGINT)
events = re.findall(r'^events: \{\.pid = (\d+), \.size = 1, \.comm = "dd"\}$', out, re.M)
check(status == 0 and len(events) == 100 and len(set(events)) == 1, 'records of a ring buffer, by their type', (status, len(events), out[-600:], err))
check(events and f'counts[{events[0]}] = 101\n' in out, 'a map, by its types', out[-600:])
check(out.count('write to 1, 1 bytes\n') >= 100 and int(re.search(r'^started = (\d+)$', out, re.M)[1]) >= 107 and re.search(r'^total = \d+$', out, re.M), 'trace_printk(), variables', out[-600:])

HEAD = '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nchar l[] SEC("license") = "GPL";\n' \
       'struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, long); } m SEC(".maps");\n'


def refused(name, source, *words):
    path = f'{work.name}/{name}'
    with open(path + '.c', 'w') as f:
        f.write(HEAD + source)
    subprocess.run(['clang-14', '-target', 'bpf', '-g', '-O2', '-Wno-everything', f'-I/usr/include/{os.uname().machine}-linux-gnu', '-c', path + '.c', '-o', path + '.o'],
                   check=True)
    status, out, err = command('trace', '-f', path + '.o', 'sh')
    check(status == 125 and all(w in err for w in words), 'refused: ' + name, (status, out, err))


refused('null', 'SEC("tp/syscalls/sys_enter_read") int f(void *c)\n{\n int k = 0;\n long *v = bpf_map_lookup_elem(&m, &k);\n *v = 1;\n return 0;\n}', 'program f is refused', 'null.c:9: *v = 1;')
refused('outside', 'SEC("tp/syscalls/sys_enter_read") int f(void *c) { int k = 0; char *v = bpf_map_lookup_elem(&m, &k); if (v) v[bpf_get_prandom_u32()] = 1; return 0; }',
        'program f is refused')
refused('kernel memory', 'SEC("tp/syscalls/sys_enter_read") int f(void *c) { return *(int *)0xffffffff80000000; }', 'program f is refused')
refused('raw', 'SEC("raw_tp/sys_enter") int f(void *c) { return 0; }', 'raw tracepoints')
refused('place', 'SEC("xdp") int f(void *c) { return 0; }', 'SEC("xdp"): there is no such place')
refused('nowhere', 'extern int there; SEC("tp/syscalls/sys_enter_read") int f(void *c) { return there; }', 'there')
refused('no tracepoint', 'SEC("tp/sched/sched_switch") int f(void *c) { return 0; }', 'there is no tracepoint sched:sched_switch')
good = open(OBJECT, 'rb').read()
for name, data in (('cut', good[:3000]), ('head', good[:64]), ('sections', good[:40] + b'\xff' * 8 + good[48:]), ('x86', open('/bin/true', 'rb').read())):
    open(work.name + '/bad.o', 'wb').write(data)
    status, out, err = command('trace', '-f', work.name + '/bad.o', 'sh')
    check(status == 125 and err.startswith('drupe: ') and not out, 'refused: an object that is damaged: ' + name, (status, out, err))

# --- what is refused, and where -------------------------------------------------------------------------

status, out, err = command('trace', 'BEGIN {\n  @a = 1;\n  @a = "two";\n}', 'sh')
same((status, err), (125, 'drupe: line 3, column 8: @a is an integer; this is a string\n    @a = "two";\n         ^\n'), 'an error and its place')
for words in (('syscall:nosuch { }', 'sh'), ('BEGIN { }', '-e', 'net:*', 'sh'), ('-p', '1', 'BEGIN { }', 'sh'), ('-f', '/no/file', 'sh'), ('--interval', '0', 'BEGIN { }', 'sh'),
              ('--interval', '1', '-e', 'net:*', 'sh'), ('kprobe:no_such_function { }', 'sh'), ('uprobe:/no/file:f { }', 'sh'), ('BEGIN { }', '-f', '/bin/true', 'sh')):
    check(command('trace', *words)[0] == 125, 'refused: ' + ' '.join(words))

# --- clients that are killed -------------------------------------------------------------------------------

MANY = 'profile:hz:999 { @[ustack, kstack, comm] = count(); } syscall:* { @c[probe] = hist(ret); printf("%s\\n", probe); } interval:ms:1 { @i++; print(@c); }'
Trace(MANY).end(signal.SIGINT)
before = memory()
for i in range(6):
    t = Trace(MANY)
    dd()
    time.sleep(0.05 * i)
    t.end(signal.SIGKILL)
    p = subprocess.Popen([DRUPE, 'trace', MANY, 'sh'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.02 * i) # wherever it is then
    p.kill()
    p.wait()
until(lambda: memory() - before <= 256 << 10 and not re.search(r'\bdd\b', command('ps', 'sh')[1]))
check(memory() - before <= 256 << 10, 'clients that are killed leave nothing in the kernel', memory() - before)
t = Trace('syscall:read /comm == "dd" && fd == 0/ { @n = count(); } tracepoint:syscalls:sys_enter_exit_group /comm == "dd"/ { exit(); }')
dd()
status, out, err = t.end()
check(status == 0 and '@n: 100\n' in out, 'and it goes on as before', (status, out, err))

# The instance's end: what was counted until then is printed.
t = Trace('syscall:kill,syscall:rt_sigreturn { @n = count(); } BEGIN { @began = 1; }')
command('kill', '-s', 'TERM', 'sh')
status, out, err = t.end()
check(status == 0 and '@began: 1\n' in out, 'maps survive the end of the instance', (status, out, err))
command('rm', '-f', 'sh')

# Names of a program with more areas than one message tells of.
run('areas', '/usr/bin/python3', '-c', """
import mmap, time
kept = [mmap.mmap(-1, 4096, prot=mmap.PROT_READ) for i in range(900)]
print("ready", flush=True)
while True:
    time.sleep(0.01)""")
t = Trace('syscall:clock_nanosleep { @[ustack(1)] = count(); @n++; if (@n > 3) { exit(); } }', of='areas')
status, out, err = t.end()
check(status == 0 and 'nanosleep' in out, 'names behind many areas', (status, out, err))
command('rm', '-f', 'areas')
done()
