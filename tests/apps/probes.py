#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs at functions, of the kernel and of programs: they run as often as the functions are called, see what they return, and disturb nothing: not
threads, forks, programs executed later, longjmp(), backtraces, nor programs under load while they come and go a thousand times (in a machine, two hundred times)."""
import os
import re
import signal
import struct
import subprocess
import tempfile
import time

from bpfd import ARRAY, AT_FUNCTION, AT_RETURN, CTX_REGS, EXIT, SYMBOL, Client, add, add_to, call, jeq, ld_map, mov, movx, st
from lib import BUILD, DRUPE, ON, check, command, done, own_list, same, until

work = own_list('probes')
PROBED = os.path.realpath(os.path.join(BUILD, 'probed'))
STEPS = (0, 4, 5, 8, 12, 18, 20, 22, 27, 31, 32) # of steps(): where its instructions begin


def logs():
    return command('logs', 'probed')[1]


def trace(program, act):
    """(status, stdout, stderr) of drupe trace around act(); the program calls exit()."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        p = subprocess.Popen([DRUPE, 'trace', program, 'probed'], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        until(lambda: b' place' in os.pread(err.fileno(), 1 << 16, 0) or p.poll() is not None)
        act()
        p.send_signal(signal.SIGINT)
        status = p.wait(120)
        return status, os.pread(out.fileno(), 1 << 20, 0).decode(), os.pread(err.fileno(), 1 << 16, 0).decode()


def known():
    before = logs().count('known')
    command('kill', '-s', 'USR1', 'probed')
    until(lambda: logs().count('known') > before)


status, out, err = command('run', *ON, '-d', '--name', 'probed', '--net', 'none', *(['--cpus', '2'] if ON[1] == 'qemu' else []), PROBED)
check(status == 0 and until(lambda: 'ready' in logs()), 'run -d', err)

# --- counts and results --------------------------------------------------------------------------------

u = lambda f: f'uprobe:{PROBED}:{f}'
r = lambda f: f'uretprobe:{PROBED}:{f}'
status, out, err = trace(f'''
{u('add')} {{ @add = count(); @arg = sum(arg0); @who[comm] = count(); }} {r('add')} {{ @ret = sum(retval); @most = max(retval); }}
{u('deep')} {{ @deep = count(); }} {r('deep')} {{ @deepest = sum(retval); }}
{u('leaves')} {{ @leaves = count(); }} {r('leaves')} {{ @left = count(); }}
{u('twice')} {{ @twice = count(); @of = sum(arg0); }} {r('twice')} {{ @doubled = sum(retval); }}
{r('outer')} {{ @outer = sum(retval); }} {u('inner')} {{ @[ustack] = count(); }}
kprobe:sys_getppid {{ @k = count(); @stack[kstack] = count(); }} kretprobe:sys_getppid {{ @kr = count(); @zero = sum(retval); }}
{' '.join(f"{u('steps')}+{s} {{ @step[{s}] = count(); }}" for s in STEPS)}''', known)
values = dict(re.findall(r'^@(\w+(?:\[[^\]\n]*\])?): (\d+)$', out, re.M))
wants = dict(add='4002', arg=str(4 * 499500 + 1 + 10), ret=str(4 * (499500 + 6000) + 8 + 35), most='1005', deep='51', deepest=str(51 * 52 // 2), leaves='101', left='1',
             outer='4', k='7', kr='7', zero='0', twice='4', of='13', doubled='26') # of text that a process has written none
wants |= {'who[probed]': '4002'} | {f'step[{s}]': '1' if s == 22 else '2' for s in STEPS}
wrong = {k: (v, values.get(k)) for k, v in wants.items() if values.get(k) != v}
check(status == 0 and not wrong, 'calls, arguments and results of threads, of a forked and of an executed program', (wrong, out[-1500:], err))
check('missed' not in err, 'none was missed', err)
same(re.findall(r'^known .*', logs(), re.M), ['known 2022000 51 15 4 8 35 12 36'], 'the program is not disturbed')
stack = re.search(r'^@\[\n(.*?)\n\]: 1$', out, re.M | re.S)
check(stack and [f.split('+')[0].strip() for f in stack[1].splitlines()[:4]] == ['inner', 'outer', 'known', 'main'], 'a backtrace through a watched return', out[:600])
stack = re.search(r'^@stack\[\n(.*?)\n\]: \d$', out, re.M | re.S)
check(stack and [f.split('+')[0].strip() for f in stack[1].splitlines()[:2]] == ['sys_getppid', 'linux_syscall'], "one of the kernel's, from the first instruction", out[-1500:])

# --- what cannot be ------------------------------------------------------------------------------------------

status, out, err = trace('kprobe:bpf_run { @never = count(); } kprobe:sys_getppid { @k = count(); } kprobe:memcpy { @m = count(); }', known)
check(status == 0 and '@k: 7\n' in out and '@never' not in out and 'were missed' in err, 'what the probes themselves call is missed, and told', (out, err))
for words, why in (('kprobe:arch_switch { }', 'what probes themselves need'), ('kprobe:trap_exception { }', 'what probes themselves need'),
                   ('kprobe:sys_getppid+1 { }', 'begins there|no breakpoint'), ('kprobe:no_such { }', 'no function no_such'), (f'{u("no_such")} {{ }}', 'no function no_such')):
    status, out, err = command('trace', words, 'probed')
    check(status == 125 and re.search(why, err), 'refused: ' + words, (status, err))

# --- a thousand times under load ---------------------------------------------------------------------------------

command('kill', '-s', 'USR2', 'probed')
symbols = {f[2]: int(f[0], 16) for f in (l.split() for l in subprocess.run(['nm', PROBED], capture_output=True, text=True).stdout.splitlines()) if len(f) == 3}
c = Client(os.environ['DRUPE_RUN'])
c.map(0, ARRAY, 4, 8, 2)
for i in range(2):
    c.load(i, CTX_REGS, st(10, -8, i) + movx(2, 10) + add(2, -8) + ld_map(1, 0) + call(1) + jeq(0, 0, 2) + mov(1, 1) + add_to(0, 0, 1) + mov(0, 0) + EXIT)
getppid = c.ask(SYMBOL, struct.pack('<Q', 0) + b'sys_getppid')[0]
places = [(0, AT_FUNCTION, symbols['add'], PROBED), (0, AT_RETURN, symbols['outer'], PROBED), (1, AT_FUNCTION, getppid, ''), (1, AT_RETURN, getppid, ''),
          (0, AT_FUNCTION, symbols['steps'] + 12, PROBED), (0, AT_RETURN, symbols['steps'], PROBED)]
kept = []
for i in range(1000 if ON[1] == 'host' else 200): # each stops the other CPU, which is emulated
    program, where, value, path = places[i % len(places)]
    kept.append(c.attach(program, where, value=value, path=path))
    if len(kept) == 4:
        c.detach(kept.pop(i % 4))
check(until(lambda: c.u64(0, 0) > 100 and c.u64(0, 1) > 100), 'programs run')
for k in kept:
    c.detach(k)
c.flush()
counts = c.u64(0, 0), c.u64(0, 1)
time.sleep(0.1)
same((c.u64(0, 0), c.u64(0, 1)), counts, 'detached ones do not')
c.close()
same(logs().count('wrong'), 0, 'and nobody was disturbed')
check('probed' in command('ps')[1], 'it runs on', logs())
for where in places[:1] + places[2:3]: # whoever goes without a word
    c = Client(os.environ['DRUPE_RUN'])
    c.load(0, CTX_REGS, mov(0, 0) + EXIT)
    c.attach(0, where[1], value=where[2], path=where[3])
    c.close()
status, out, err = trace(f"{u('add')} {{ @n = count(); }} kprobe:sys_getppid {{ @k = count(); @i++; if (@i >= 20) {{ exit(); }} }}", lambda: until(lambda: False, 0.2))
check(status == 0 and re.search(r'^@n: \d+$', out, re.M) and re.search(r'^@k: \d+$', out, re.M), 'nor by clients that left', (out, err))
command('rm', '-f', 'probed')

# --- names of code that a program makes --------------------------------------------------------------------------------

status, out, err = command('run', *ON, '-d', '--name', 'probed', '--net', 'none', PROBED, 'jit')
check(status == 0 and until(lambda: 'ready' in logs()), 'run -d', err)
status, out, err = command('trace', 'profile:hz:99 { @[ustack(3)] = count(); @n++; if (@n > 5) { exit(); } }', 'probed')
check(status == 0 and re.search(r'busy.*\n *made by: itself.*\n *main', out), 'in stacks of programs', (out, err))
status, out, err = command('profile', '-d', '1', '--format', 'folded', 'probed')
check(status == 0 and ';main;made by: itself;busy ' in out, 'in profiles', (out, err))
status, out, err = command('stack', 'probed')
check(status == 0 and re.search(r'in busy .*\n#\d+ .*made by: itself.*\n#\d+ .* main ', out), 'in backtraces', (out, err))
command('rm', '-f', 'probed')
done()
