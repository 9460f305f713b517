#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everyday jobs: pseudo terminals inside (script, Python's pty), procps, tar, git, and on host a C project built by make and gcc."""
import os
import re
import shutil
import tempfile

from lib import ON, check, done, drupe, same

TOOLS = 'sh script stty tty cat top ps vmstat free uptime pgrep pkill sleep tar gzip cmp diff find sort md5sum ls mkdir cp git sed grep wc head'.split()
ADD = [a for t in TOOLS for a in ('--add', shutil.which(t))]


def bash(script, *args, timeout=120):
    status, out, err = drupe(*ADD, *args, '/bin/bash', '-c', script, timeout=timeout)
    return status, out.decode(errors='replace'), err


# --- terminals inside ---
got = bash('script -qec "tty; stty size; [ -t 0 ] && echo terminal; exit 3" /dev/null </dev/null; echo $?')
same(got[:2], (0, '/dev/pts/0\r\n0 0\r\nterminal\r\n3\n'), 'script: a terminal of its own, the exit status')
with tempfile.TemporaryDirectory() as tmp:
    prog = os.path.join(tmp, 'spawn.py')
    with open(prog, 'w') as f:
        f.write('''import os, pty, select
pid, fd = pty.fork()
if pid == 0:
    os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "-i"])
def expect(text, out=b""):
    while text not in out:
        part = os.read(fd, 1000)
        out += part
expect(b"# ")
for line, want in ((b"PS1=re''ady:", b"ready:"), (b"tty", b"/dev/pts/0\\r\\n"), (b"(echo star''ted; sleep 100) | cat", b"started\\r\\n"),
                   (b"\\x1a", b"Stopped"), # not before the job runs: the shell itself ignores it
                   (b"bg", b"&"), (b"kill %1; wait; echo $((6 * 7))", b"42\\r\\n")):
    os.write(fd, line if line == b"\\x1a" else line + b"\\r")
    expect(want)
    print("saw", want)
os.write(fd, b"exit 4\\r")
try:
    while os.read(fd, 1000):
        pass
except OSError as e:
    print(e.strerror)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
''')
    status, out, err = drupe(*ADD, '--add', '/bin/bash', '--add', prog, '/usr/bin/python3', '-u', prog, timeout=120)
    check(status == 0 and out.decode().split('\n')[-3:-1] == ['Input/output error', '4'] and out.count(b'saw') == 6,
          'Python drives a shell on a pseudo terminal: job control', out.decode() + err)

# --- procps ---
status, out, err = bash('sleep 50 & top -b -n1; vmstat; free -m; uptime; ps aux; ps -ef; pgrep -a sleep; pkill sleep; wait; echo $?')
for want in (r'Tasks: +\d+ total', r'PID +USER +PR', r'bash\n', r'procs -+memory', r'Mem: +\d+', r'load average', r'root +1 .*/bin/bash -c',
             r'root +2 +1 .*sleep 50', r'\n2 sleep 50\n', r'\n0\n$'):
    check(re.search(want, out), f'procps: {want}', out + err)

# --- files ---
same(bash('mkdir -p /tmp/a/b; seq() { for i in {1..300}; do echo $i; done; }; seq >/tmp/a/n; cp /bin/bash /tmp/a/b; cd /tmp; '
          'tar czf a.tgz a && mkdir c && tar xzf a.tgz -C c && diff -r a c/a && echo same; find / -xdev 2>/dev/null | sort | md5sum | wc -c')[:2],
     (0, 'same\n36\n'), 'tar, gzip, diff, find | sort | md5sum')
status, out, err = bash('export HOME=/tmp GIT_CONFIG_NOSYSTEM=1; cd /tmp && git init -q r && cd r && git config user.name n && git config user.email e@x && '
                        'echo one >f && git add f && git commit -qm first && echo two >>f && git commit -qam second && '
                        'git log --format=%s && git diff --stat HEAD~1 | head -1 && git fsck && git status --short')
same((status, out), (0, 'second\nfirst\n f | 1 +\n'), 'git: init, commit, log, diff, fsck')

# --- a build ---
if ON[1] == 'host':
    with tempfile.TemporaryDirectory() as tmp:
        root = os.path.join(tmp, 'p')
        os.mkdir(root)
        files = {'Makefile': 'p: a.o b.o\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -O1 -c -o $@ $<\n',
                 'a.c': '#include <stdio.h>\nint b(int);\nint main(void) { printf("%d\\n", b(20)); return 0; }\n',
                 'b.c': 'int b(int x) { return 2 * x + 2; }\n'}
        for name, text in files.items():
            with open(os.path.join(root, name), 'w') as f:
                f.write(text)
        add = [a for p in ('/usr/bin/gcc', '/usr/bin/as', '/usr/bin/ld', '/usr/bin/make', '/usr/lib/gcc/x86_64-linux-gnu', '/usr/include',
                           '/usr/lib/x86_64-linux-gnu/crt1.o', '/usr/lib/x86_64-linux-gnu/crti.o', '/usr/lib/x86_64-linux-gnu/crtn.o',
                           '/usr/lib/x86_64-linux-gnu/Scrt1.o', '/usr/lib/x86_64-linux-gnu/libc.so', '/usr/lib/x86_64-linux-gnu/libc_nonshared.a')
               for a in ('--add', p)]
        status, out, err = bash('cp -r /p /tmp/p && cd /tmp/p && make -s -j2 && ./p', *add, '--add', f'{root}:/p', timeout=300)
        same((status, out), (0, '42\n'), 'make -j2 and gcc build a program, which runs' + ('' if status == 0 else err[-300:]))
done()
