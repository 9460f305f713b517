#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's gdb for instances that nothing was done to: drupe gdb, drupe stack, drupe run --gdb."""
import functools
import os
import re
import signal
import subprocess
import threading

from lib import DRUPE, ON, build_file, calls, check, command, done, own_list, same, until

work = own_list('gdb')
os.environ.update(LC_ALL='C.UTF-8', HOME=work.name)
PROGRAM = os.path.abspath(build_file('debuggee'))
drupe = functools.partial(command, timeout=120, start_new_session=True)
BATCH = ['-nx', '-batch', '-ex', 'set pagination off', '-ex', 'set width 0']


def start(name, *args):
    status, out, err = drupe('run', *ON, '-d', '--rm', '--name', name, PROGRAM, *args)
    check(status == 0, f'{name} runs', err)


def gdb(name, *commands, options=(), timeout=180):
    status, out, err = drupe('gdb', name, *BATCH, *options, *[a for c in commands for a in ('-ex', c)], timeout=timeout)
    return out + err


def has(text, wanted, what):
    missing = [w for w in wanted if not re.search(w, text, re.M)]
    check(not missing, what, f'{text}\nmissing: {missing}')


def rounds(name):
    """The worker's: it makes this call in each."""
    return calls(name, 'getrandom')


def goes_on(name, what):
    first = rounds(name)
    check(until(lambda: rounds(name) > first), what)


def read_until(p, words):
    """What a gdb in the background has said, with these words unless it has ended before."""
    seen = b''
    while words not in seen and (part := os.read(p.stdout.fileno(), 4096)):
        seen += part
    return seen


start('one')
text = gdb('one', 'info threads', 'thread apply all bt', 'p $mxcsr', 'thread 2', 'bt 1', 'kernel-list 0', 'kernel-list 99', 'monitor kernel-stack', 'detach')
has(text, [r'^\* 1 +Thread 1 "debuggee"', r'^  3 +Thread 3 "worker bee"', r'^#\d+ .* wait_for_ever \(', r'^#\d+ .* work \(',
           r'^#\d+ .* main \(argc=1', r'clone3 ?\(\)', r'^\$1 = \[.* IM .*PM'], 'threads by name, their backtraces through system calls to the start')
check(re.search(r'^(?:k .*\n)+?k +\w+ \(\) at kernel/\w+/\w*futex\w*\.c:\d+\n(?:k .*\n)+#0 ', text, re.M),
      "with the kernel's frames of those that slept there, and their lines in a tree where it was built", text)
has(text, [r'^\d+\t', r'kernel-list: the last backtrace has \d+ kernel frames', r'^k +\w+ \(\) in the kernel, text_start\+0x'], 'which are listed; without such a tree, where they are')
text = gdb('one', 'shell read p rest < /proc/$PPID/task/$PPID/children; kill -STOP $p; (sleep 9; kill -CONT $p) > /dev/null 2>&1 &', 'maint flush register-cache',
           'p $mxcsr', 'info threads', 'detach')
has(text, [r'^\$1 = \[.* IM .*PM', r'^  3 +Thread 3 "worker bee"'], 'answers that take seconds')
check('packet error' not in text, 'are not asked for again', text)
NOT_THERE = r'^drupe: watch works by single steps, slowly, and hbreak is refused: Linux gives the instance no debug register: \w+'
refused = re.search(NOT_THERE, text, re.M)
goes_on('one', 'it goes on when gdb has let go of it')

text = gdb('one', 'break add_points', 'continue', 'bt 2', 'info args', 'step', 'p sum > 0', 'finish', 'info breakpoints',
           'delete', 'break getenv', 'continue', 'bt 2', 'delete', 'detach')
has(text, [r'hit Breakpoint 1, add_points', r'^#1 .* work \(', r'^b = \{x = 2, y = 3\}', r'^\$1 = 1', r'^Value returned is', r'breakpoint already hit 1 time',
           r'hit Breakpoint 2, .*getenv \(name='], 'breakpoints in the program and in a library, step, finish')
text = gdb('one', 'break scale', 'continue', 'p by', 'p $xmm0.v2_double[0]', 'p half = 2.5', 'p $xmm0.v2_double[0] = 4', 'finish', 'p half = 0.5',
           'p $_exitcode', 'p (int)getpid()', 'p add_points((struct point){1, 2}, (struct point){3, 4})', 'delete', 'detach')
has(text, [r'^\$2 = 3$', r'^Value returned is \$\d+ = 10$', r' = 1$', r' = 10$'], 'memory and registers are changed; functions called')
text = gdb('one', 'thread 2', 'p own', 'thread 1', 'p own', 'frame function main', 'p own', 'detach')
has(text, [r'^\$1 = 77', r'^\$\d = 3$'], "threads' own variables")
text = gdb('one', 'thread 3', 'break add_points', 'continue', 'delete', 'set scheduler-locking on', 'set can-use-hw-watchpoints 0', 'watch watched', 'set watched = 7', 'next', 'next', 'next',
           'delete', 'set scheduler-locking off', 'detach', timeout=300)
has(text, [r'atchpoint \d+: watched'], 'a watchpoint by single steps')
if not refused:
    text = gdb('one', 'hbreak add_points', 'continue', 'bt 2', 'continue', 'info breakpoints', 'delete', 'detach')
    has(text, [r'^Hardware assisted breakpoint 1', r'hit Breakpoint 1, add_points', r'^#1 .* work \(', r'already hit 2 times'], 'hbreak')
text = gdb('one', 'break add_points if a.x % 20 == 0', 'continue', 'p a.x % 20', 'stepi', 'nexti', 'p $_siginfo.si_signo', 'detach')
has(text, [r'^\$1 = 0', r'^\$2 = 5'], 'a condition, stepi')
goes_on('one', 'and goes on')

# Who is killed leaves nothing behind.
p = subprocess.Popen([DRUPE, 'gdb', 'one', '-nx', '-ex', 'set pagination off', '-ex', 'break add_points', '-ex', 'continue'],
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
seen = read_until(p, b'hit Breakpoint 1')
check(b'hit Breakpoint 1' in seen, 'a breakpoint is hit', seen)
p.kill()
p.wait()
goes_on('one', 'gdb killed: the program goes on')
text = gdb('one', 'x/2bx add_points', 'disassemble add_points', 'detach')
check('int3' not in text, 'and has no breakpoint', text)

p = subprocess.Popen([DRUPE, 'gdb', 'one', '-nx', '-batch', '-ex', 'echo attached\\n', '-ex', 'continue', '-ex', 'bt', '-ex', 'detach'], stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
read_until(p, b'attached')
goes_on('one', 'it runs under gdb')
p.send_signal(signal.SIGINT)
text = p.communicate(timeout=120)[0].decode()
has(text, [r'received signal SIGINT', r'^#\d+ .* main \('], '^C stops it')
second = subprocess.Popen([DRUPE, 'gdb', '--server', 'one'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
second.stdin.write(b'$?#3f')
second.stdin.flush()
check(second.stdout.read(3) == b'+$T', 'the remote protocol by itself')
status, out, err = drupe('gdb', '--server', 'one')
check(status == 125 and 'debugged already' in err, 'one debugger at a time', (status, out, err))
second.stdin.write(b'garbage')
second.stdin.close()
same(second.wait(60), 0, 'garbage ends the conversation')
second.stdout.close()
goes_on('one', 'and nothing else')
status, out, err = drupe('stack', 'one')
has(out, [r'^#\d+ .* wait_for_ever', r'^#\d+ .* main ', r'"worker bee"'], 'drupe stack')
check(err == '' and 'Reading' not in out, 'of nothing else', (out, err))

# While symbols are loaded and frames printed the program goes on.
address = re.search(r'^\$1 = .*?0x([0-9a-f]+)', gdb('one', 'p &rounds', 'detach'), re.M)[1]
looks = subprocess.Popen([DRUPE, 'gdb', '--server', '--snapshot', '-p', '1', 'one'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def answer_of(p):
    answer = b''
    while not re.search(rb'#[0-9a-f]{2}$', answer) and (part := p.stdout.read1(65536)):
        answer += part
    return answer.lstrip(b'+')


def say(p, text):
    p.stdin.write(b'$%s#%02x' % (text.encode(), sum(text.encode()) % 256))
    p.stdin.flush()


def asks(text, p=looks):
    say(p, text)
    answer = answer_of(p)
    p.stdin.write(b'' if text == 'D' else b'+')
    return answer


first = asks('g')
check(asks('?').startswith(b'$T00thread:'), 'a snapshot has threads', first[:80])
before = asks(f'm{address},4')
check(len(before) == 12 and until(lambda: asks(f'm{address},4') != before), 'and the program is not held by it', before)
check(asks('g') == first and len(first) > 400, 'its registers are of that moment', first[:80])
check(asks('M1000,1:00').startswith(b'$E') and asks('vCont;c').startswith(b'$E'), 'nothing can be changed by it')
check(asks('D').startswith(b'$OK') and looks.wait(60) == 0, 'its end')
looks.stdin.close()
looks.stdout.close()
status, out, err = drupe('stack', '-p', '99', 'one')
same((status, err), (125, 'drupe: one: there is no such process\n'), 'of a process that is not there')
text = gdb('one', 'break add_points', 'continue', 'p stop_now = 1', 'p exit_code = 7', 'delete', 'continue', timeout=120)
has(text, [r'exited with code 07'], 'gdb is told of the end')

# A child by one thread's fork() may wait while another thread's vfork() takes breakpoints out.
status, out, err = drupe('run', *ON, '-d', '--rm', '--cpus', '2', '--name', 'two', PROGRAM, 'children')
text = gdb('two', 'break add_points', 'ignore 1 100', 'continue', 'p $bpnum', 'delete', 'tbreak make_children', 'continue', 'finish',
           'p children > 0', 'p children % 2', 'detach', timeout=300)
has(text, [r'hit Breakpoint 1', r'^\$2 = 1', r'^\$3 = 0'], 'breakpoints, which children never see')
text = gdb('two', 'break add_points', 'continue', 'p stop_now = 1', 'delete', 'continue')
has(text, [r'exited normally'], 'its end')

# Two processes, one of them with more libraries than one usually has. What it tells perf is longer than what is read of it: a line is cut, and one is behind that.
MAP_MAX = 32 << 20
PERF_MAP = f"{{ echo 1000 10 made by hand; printf '%0{MAP_MAX - 37}d\\n' 0; echo 3000 10 cut short; echo 2000 10 behind; }} >/tmp/perf-1.map"
status, out, err = drupe('run', *ON, '-d', '--rm', '--name', 'three', '--net', 'none', '--add', '/bin/sh', '--entrypoint', '/bin/sh', 'redis-server', '-c',
                         f'{PERF_MAP}; redis-server & wait')
until(lambda: ' main (' in drupe('stack', 'three')[1].partition('redis-server')[2])
status, out, err = drupe('stack', 'three')
has(out, [r'^Process 1 "sh":\n(.|\n)*^Process 2 "redis-server":\n(.|\n)*^#\d .* main \('], 'drupe stack: of all processes')
check('Too many' not in out + err, 'and all their libraries', err)


def interrupted():
    """^C after the first process; None: it was too late."""
    p = subprocess.Popen([DRUPE, 'stack', 'three'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    first = p.stdout.readline()
    os.killpg(p.pid, signal.SIGINT)
    rest, said = p.communicate(timeout=60)
    return (first, p.returncode, said, 'Exception' in rest) if p.returncode else None


same(until(interrupted), ('Process 1 "sh":\n', -signal.SIGINT, 'drupe: names of code: /tmp/perf-1.map is longer than the 32 MiB that are read\n', False), '^C ends it without a word')
has(out, [r'^#\d +0x\w+ in \?\? \(\)'], 'of code that has no name, too')
has(err, [r'^drupe: names of code: /tmp/perf-1.map is longer than the 32 MiB that are read$'], 'it says where names are not all read')
text = gdb('three', 'python print(drupe_pieces(1), drupe_pieces(99))', 'detach')
has(text, [r"^\[\(4096, 0, 16, b'made by hand'\)\] \[\]$"], 'names that a program has told perf, as far as they are read')
drupe('kill', 'three')

# Debug registers: of both CPUs, and not of children.
status, out, err = drupe('run', *ON, '-d', '--rm', '--cpus', '2', '--name', 'four', PROGRAM, 'children')
if refused:
    check(ON[1] == 'host', 'this Linux lets nobody set watchpoints in an instance', text)
else:
    text = gdb('four', 'watch watched', 'continue', 'continue', 'bt 1', 'delete', 'watch filled', 'continue', 'bt 4', 'continue', 'delete',
               'awatch half', 'continue', 'delete', 'hbreak scale', 'tbreak make_children', 'continue', 'continue', 'delete', 'p children % 2', 'detach')
    has(text, [r'hit Hardware watchpoint 1: watched\n\nOld value = (\d+)\nNew value = (?!\1)\d+', r'^#0 .*add_points',
               r'hit Hardware watchpoint 2: filled(.|\n)*^#\d .* work \((.|\n)*hit Hardware watchpoint 2: filled',
               r'hit Hardware access \(read/write\) watchpoint 3: half\n\nValue = 0.5', r'hit Breakpoint 4, scale'],
        'watchpoints: what the program writes, what the kernel writes for it, what is read')
    text = gdb('four', 'handle SIGCHLD nostop noprint', 'p changed = 0', 'hbreak scale', 'continue', 'continue', 'delete', 'hbreak *shared', 'continue', 'delete',
               'hbreak add_points if 0', 'tbreak make_children', 'continue', 'tbreak make_children', 'continue', 'p changed', 'p children % 2', 'detach')
    has(text, [r'hit Breakpoint 1, scale(.|\n)*hit Breakpoint 1, scale', r'hit Breakpoint 2, 0x', r'hit Temporary breakpoint 5, make_children', r'^\$2 = 0', r'^\$3 = 0'],
        'hbreak: no byte of the program changes; in shared memory that nobody may write; children pass')
    text = gdb('four', 'hbreak work', 'hbreak scale', 'hbreak main', 'hbreak make_children', 'hbreak add_points', 'continue', 'detach')
    has(text, [r'Could not insert hardware breakpoints:'], 'a fifth is refused')
    text = gdb('four', 'hbreak *0xffffffff80000000', 'continue', 'detach')
    has(text, [r'Could not insert hardware breakpoints:'], "in the kernel's code there is none")
    text = gdb('four', 'watch half', 'watch stop_now', 'watch exit_code', 'watch children', 'watch watched', 'continue', 'detach')
    has(text, [r'Could not insert hardware watchpoint \d'], 'there are four')
    text = gdb('four', 'break add_points if a.x % 2 == 0', 'continue', 'delete', 'watch watched', 'next', 'next', 'next', 'continue', 'detach')
    has(text, [r'(hit Hardware watchpoint 2: watched(.|\n)*){2}'], 'steps over what is watched, and on')
    p = subprocess.Popen([DRUPE, 'gdb', 'four', '-nx', '-ex', 'set pagination off', '-ex', 'watch watched', '-ex', 'continue'],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    read_until(p, b'hit Hardware')
    p.kill()
    p.wait()
    goes_on('four', 'gdb killed at a watchpoint: the program goes on')
# Who may not trace the instance's process is told so.
if ON[1] == 'host' and os.geteuid() == 0:
    r = subprocess.run(['setpriv', '--bounding-set=-sys_ptrace,-perfmon,-sys_admin', DRUPE, 'gdb', 'four', *BATCH, '-ex', 'watch watched', '-ex', 'hbreak scale', '-ex', 'continue', '-ex', 'detach'],
                       capture_output=True, timeout=120, start_new_session=True, stdin=subprocess.DEVNULL)
    has((r.stdout + r.stderr).decode(errors='replace'), [NOT_THERE, r'^Watchpoint 1: watched', r'Could not insert hardware breakpoints:'], 'who may not have debug registers is told so, and steps')
text = gdb('four', 'p stop_now = 1', 'continue', timeout=120)
has(text, [r'exited normally'], 'to its end')

# Signals that gdb need not hear of, of so many threads that there are always some more.
start('six', 'signals')
p = subprocess.Popen([DRUPE, 'gdb', '--server', 'six'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
same([asks(t, p)[:3] for t in ('QPassSignals:1e;', '?')], [b'$OK', b'$T0'], 'signals are passed')
say(p, 'vCont;c')
until(lambda: calls('six', 'tgkill') > 2000)
p.stdin.write(b'\x03')
p.stdin.flush()
lost = threading.Timer(120, p.kill)
lost.start()
check(answer_of(p).startswith(b'$T02'), '^C is heard meanwhile')
lost.cancel()
p.kill()
p.communicate()
drupe('rm', '-f', 'six')

# From the first instruction.
HBREAK = 'break' if refused else 'hbreak'
r = subprocess.run([DRUPE, 'run', *ON, '--gdb', '--name', 'five', PROGRAM, 'again'], env=dict(os.environ, PAGER='cat'), capture_output=True, timeout=180, start_new_session=True,
                   input=f'set pagination off\nset confirm off\nx/i $pc\n{HBREAK} main\ncontinue\np argc\ncontinue\np argc\np stop_now = 1\np exit_code = 3\ncontinue\nquit\n'.encode())
text = r.stdout.decode(errors='replace') + r.stderr.decode(errors='replace')
has(text, [r'<_start>', r'Breakpoint 1, main', r'^(\(gdb\) )*\$1 = 2', r'is executing new program(.|\n)*Breakpoint 1, main(.|\n)*\$2 = 1', r'exited with code 03'],
    f'run --gdb: from the first instruction, and in the program that it executes: {HBREAK}')
same(r.returncode, 3, 'its status is drupe\'s')
check('ready' in text and 'rounds' in text, 'what it wrote', text)
done()
