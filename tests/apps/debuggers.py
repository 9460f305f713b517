#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's strace and gdb as programs inside: what they see of their tracees is what they see on Linux."""
import os
import re
import shutil
import subprocess
import tempfile

from lib import BUILD, check, done, drupe, same

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

hello = os.path.abspath(os.path.join(BUILD, 'tests', 'hello'))
gdb = ['/usr/bin/gdb', '-nx', '-batch', '-ex', 'set startup-with-shell off']
status, out, err = drupe('--add', hello, '-m', '1G', '-e', 'HOME=/tmp', '-e', 'LC_ALL=C.UTF-8', *gdb, '-ex', 'break main', '-ex', 'run', '-ex', 'bt',
                         '-ex', 'stepi', '-ex', 'p $_siginfo.si_signo', '-ex', 'p (int)getppid() > 0', '-ex', 'delete', '-ex', 'continue', hello, timeout=180)
text = out.decode(errors='replace')
check(re.search(r'^Breakpoint 1, .*main ', text, re.M) and re.search(r'^#0 .* main ', text, re.M), 'gdb: a breakpoint and a backtrace', text + err)
check('$1 = 5' in text and '$2 = 1' in text, 'gdb: a step; a call of a function of the program', text + err)
check('exited normally' in text, 'gdb: the program goes on to its end', text + err)

status, out, err = drupe(*ADD, '-m', '1G', '-e', 'HOME=/tmp', '-e', 'LC_ALL=C.UTF-8', *gdb[:3], '-ex',
                         'python import subprocess; p = subprocess.Popen(["sleep", "1000"]); gdb.execute("attach %d" % p.pid)',
                         '-ex', 'bt 1', '-ex', 'detach', '-ex', 'python p.terminate(); print("status", p.wait())', timeout=180)
text = out.decode(errors='replace')
check(re.search(r'#0 .*(clock_nanosleep|nanosleep|0x)', text) and 'status -15' in text, 'gdb -p: attach, look, detach', text + err)
# A core file that the program leaves, opened by the host's gdb.
die = os.path.abspath(os.path.join(BUILD, 'tests', 'die'))
status, core, err = drupe(*ADD, '--add', die, '--add', '/bin/cat', '/bin/sh', '-c',
                          f'ulimit -c unlimited; cd /tmp; {die} thread-segv >&2; echo status $? >&2; cat core; ulimit -c 0; cd /; {die} segv; ls core')
check('core dumped' in err and 'status 139' in err and 'No such file' in err, 'a core file, and none without leave', err)
with tempfile.NamedTemporaryFile() as f:
    f.write(core)
    f.flush()
    text = subprocess.run([*gdb[:3], '-ex', 'thread apply all bt', '-ex', 'p $_siginfo.si_signo', '-ex', 'p $_siginfo._sifields._sigfault.si_addr',
                           die, f.name], capture_output=True, text=True).stdout
check(re.search(r'#0 .* write_to_nowhere', text) and 'wait_for_ever' in text and re.search(r'^#\d+ .* main .*\n' , text, re.M),
      'gdb on the host: both threads with their callers', text)
check('= 11' in text and '0x10' in text and 'warning' not in text, 'and what ended it', text)
done()
