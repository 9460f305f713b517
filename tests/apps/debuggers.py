#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's strace and gdb as programs inside: what they see of their tracees is what they see on Linux."""
import os
import re
import shutil
import subprocess
import tempfile

from lib import BUILD, DRUPE, ON, check, command, done, drupe, own_list, same, until

work = own_list('debuggers')
ADD = [a for t in 'sh ls wc sleep'.split() for a in ('--add', shutil.which(t))]


def calls(text):
    """Names of the calls made; how lines of several processes mix differs between two runs."""
    return sorted(re.findall(r'^\d+ +(\w+)\(', text, re.M))


script = 'ls -d / | wc -l; (exit 3); echo $?'
strace = ['/usr/bin/strace', '-f', '-e', 'trace=execve,dup2,exit_group', '-o', '/dev/stderr', '/bin/sh', '-c', script]
want = subprocess.run(strace, capture_output=True)
status, out, err = drupe(*ADD, *strace, timeout=120)
same((status, out), (0, want.stdout), 'strace -f of a pipeline: its output')
same(calls(err), calls(want.stderr.decode()), 'and the calls of all its processes')
check('+++ exited with 3 +++' in err, 'exit statuses', err)

hello = os.path.abspath(os.path.join(BUILD, 'hello'))
gdb = ['/usr/bin/gdb', '-nx', '-batch', '-ex', 'set startup-with-shell off']
status, out, err = drupe('--add', hello, '-m', '1G', '-e', 'HOME=/tmp', '-e', 'LC_ALL=C.UTF-8', *gdb, '-ex', 'break main', '-ex', 'run', '-ex', 'bt',
                         '-ex', 'stepi', '-ex', 'p $_siginfo.si_signo', '-ex', 'p (int)getppid() > 0', '-ex', 'delete', '-ex', 'continue', hello, timeout=180)
text = out.decode(errors='replace')
check(re.search(r'^Breakpoint 1, .*main ', text, re.M) and re.search(r'^#0 .* main ', text, re.M), 'gdb: a breakpoint and a backtrace', text + err)
check('$1 = 5' in text and '$2 = 1' in text, 'gdb: a step; a call of a function of the program', text + err)
check('exited normally' in text, 'gdb: the program goes on to its end', text + err)

counts = os.path.abspath(os.path.join(BUILD, 'debuggee'))
status, out, err = drupe('--add', counts, '-m', '1G', '-e', 'HOME=/tmp', '-e', 'LC_ALL=C.UTF-8', *gdb, '-ex', 'set can-use-hw-watchpoints 0', '-ex', 'break add_points', '-ex', 'run',
                         '-ex', 'delete', '-ex', 'set scheduler-locking on', '-ex', 'watch watched', '-ex', 'continue', '-ex', 'kill', counts, timeout=180)
text = out.decode(errors='replace')
check(re.search(r'Watchpoint \d+: watched\n\nOld value = \d+\nNew value = \d+', text, re.M), 'gdb: a watchpoint by single steps', text + err)

status, out, err = drupe('--add', counts, '-m', '1G', '-e', 'HOME=/tmp', '-e', 'LC_ALL=C.UTF-8', *gdb, '-ex', 'break add_points', '-ex', 'run', '-ex', 'delete',
                         '-ex', 'watch watched', '-ex', 'continue', '-ex', 'continue', '-ex', 'kill', counts, timeout=180)
text = out.decode(errors='replace')
if ON[1] == 'host':
    check("Couldn't write debug register" in text + err, 'gdb: a process of the host has no debug registers', text + err)
else:
    check(len(re.findall(r'hit Hardware watchpoint \d+: watched\n\nOld value = \d+\nNew value = \d+', text)) == 2, 'gdb: a watchpoint by debug registers, twice', text + err)

status, out, err = drupe(*ADD, '-m', '1G', '-e', 'HOME=/tmp', '-e', 'LC_ALL=C.UTF-8', *gdb[:3], '-ex',
                         'python import subprocess; p = subprocess.Popen(["sleep", "1000"]); gdb.execute("attach %d" % p.pid)',
                         '-ex', 'bt 1', '-ex', 'detach', '-ex', 'python p.terminate(); print("status", p.wait())', timeout=180)
text = out.decode(errors='replace')
check(re.search(r'#0 .*(clock_nanosleep|nanosleep|0x)', text) and 'status -15' in text, 'gdb -p: attach, look, detach', text + err)
# A core file that the program leaves, opened by the host's gdb.
die = os.path.abspath(os.path.join(BUILD, 'die'))
status, core, err = drupe(*ADD, '--add', die, '--add', '/bin/cat', '/bin/sh', '-c',
                          f'ulimit -c unlimited; cd /tmp; {die} thread-segv >&2; echo status $? >&2; cat core; ulimit -c 0; cd /; {die} segv; ls core')
check('core dumped' in err and 'status 139' in err and 'No such file' in err, 'a core file, and none without leave', err)


def look(core_file, program, *commands):
    """What the host's gdb says of a core file."""
    r = subprocess.run([*gdb[:3], '-ex', 'thread apply all bt', *(a for c in commands for a in ('-ex', c)), program, core_file],
                       capture_output=True, text=True)
    return r.stdout + r.stderr


SIGNAL = ('p $_siginfo.si_signo', 'p $_siginfo._sifields._sigfault.si_addr')
with tempfile.NamedTemporaryFile() as f:
    f.write(core)
    f.flush()
    text = look(f.name, die, *SIGNAL)
check(re.search(r'#0 .* write_to_nowhere', text) and 'wait_for_ever' in text and re.search(r'^#\d+ .* main .*\n' , text, re.M),
      'gdb on the host: both threads with their callers', text)
check('= 11' in text and '0x10' in text and 'too small' not in text, 'and what ended it', text)
# The same for a user outside: --core DIR, and dump of a program that goes on.
with tempfile.TemporaryDirectory() as tmp:
    status, out, err = drupe('--core', tmp, die, 'thread-segv')
    same((status, os.listdir(tmp)), (139, ['core.die.1']), '--core: one file')
    text = look(os.path.join(tmp, 'core.die.1'), die, *SIGNAL)
    check('wait_for_ever' in text and ' main ' in text and '= 11' in text, 'with both threads and the signal', text)
    status, out, err = drupe('--core', tmp, *ADD, '--add', die, '/bin/sh', '-c', f'{die} segv; {die} abort; {die} term; echo on')
    same((status, out, len(os.listdir(tmp))), (0, b'on\n', 3), '--core: of other processes too, and only for signals that dump')
    status, out, err = drupe('--core', tmp + '/missing', die, '0')
    check(status == 125 and 'missing' in err, '--core: a directory that is not there', err)
    name = 'dumped'
    subprocess.run([DRUPE, 'run', '-d', *ON, '--name', name, die, 'wait-threads'], check=True, capture_output=True, timeout=120)
    until(lambda: command('ps', name)[1].count(' pause ') == 4) # all its threads are where they stay
    core_file = os.path.join(tmp, 'live')
    for _ in range(2):
        r = subprocess.run([DRUPE, 'dump', '-o', core_file, name], capture_output=True, text=True, timeout=120)
        same((r.returncode, r.stdout), (0, core_file + '\n'), 'dump of a running program')
    text = look(core_file, die)
    check(text.count('wait_for_ever') == 3 and ' main ' in text and 'too small' not in text, 'three threads and main', text)
    r = subprocess.run([DRUPE, 'dump', '-p', '77', name], capture_output=True, text=True, timeout=120)
    check(r.returncode == 125 and 'no such process' in r.stderr, 'dump of a process that is not there', r)
    r = subprocess.run([DRUPE, 'dump', '-o', '/dev/full', name], capture_output=True, text=True, timeout=120)
    same((r.returncode, r.stderr), (125, 'drupe: /dev/full: No space left on device\n'), 'dump to a full disk')
    r = subprocess.run([DRUPE, 'kill', '-s', 'TERM', name], capture_output=True, text=True, timeout=120)
    r = subprocess.run([DRUPE, 'wait', name], capture_output=True, text=True, timeout=120)
    same(r.stdout, '143\n', 'it has gone on, and takes a signal')
    subprocess.run([DRUPE, 'rm', name], capture_output=True, timeout=120)
done()
