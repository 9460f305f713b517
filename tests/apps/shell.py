#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs of several processes: bash (pipes, substitutions, jobs, traps, job control of a terminal), procps, Python, Perl."""
import os
import re
import shutil
import subprocess
import tempfile
import time

from lib import DRUPE, ON, check, done, drupe, same
from screen import Terminal

TOOLS = 'ls cat wc sleep head sort ps pgrep grep sed tr seq md5sum find env mkdir rm sh echo stty'.split()
ADD = [a for t in TOOLS for a in ('--add', shutil.which(t))]


def bash(script, *args, timeout=120):
    status, out, err = drupe(*ADD, *args, '/bin/bash', '-c', script, timeout=timeout)
    return status, out.decode(errors='replace'), err


def gives(script, want, text, status=0):
    got = bash(script)
    same(got[:2], (status, want), text)


gives('seq 1000 | sort -rn | head -3 | tr "\\n" " "', '1000 999 998 ', 'a pipeline')
gives('x=$(echo a; (echo b; echo $(echo c))); echo "$x" | wc -l', '3\n', 'command substitution')
gives('cat <<E\nhere $((1 + 2))\nE\ncat <<<string', 'here 3\nstring\n', 'here-documents')
gives('sleep 0.2 & sleep 0.1 & wait; echo $?; (exit 7) & wait $!; echo $?', '0\n7\n', 'background jobs')
gives('trap "echo term; exit 9" TERM; kill $$; sleep 5', 'term\n', 'a trap', 9)
gives('trap "echo bye" EXIT; false || true; set -o pipefail; false | true; echo $?', '1\nbye\n', 'EXIT trap and pipefail')
gives('cat <(echo one) <(echo two)', 'one\ntwo\n', 'process substitution')
gives('coproc cat; echo hello >&${COPROC[1]}; read -u ${COPROC[0]} x; echo $x', 'hello\n', 'a coprocess')
gives('for i in $(seq 40); do (exit $((i % 2))) && echo -n .; done; env A=b sh -c "echo \\$A"', '.' * 20 + 'b\n', 'many subshells')
gives('kill -9 $BASHPID | cat; echo ${PIPESTATUS[*]}', '137 0\n', 'a killed part of a pipeline')
gives('yes_() { while :; do echo y; done; }; yes_ | head -2; echo ${PIPESTATUS[*]}', 'y\ny\n141 0\n', 'SIGPIPE')
one = subprocess.run([DRUPE, 'run', *ON, '/bin/sh', '-c', 'for i in 1 2 3 4 5 6; do echo o$i; echo e$i >&2; done'], stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120).stdout
same(one.decode(errors='replace').split(), [w + i for i in '123456' for w in 'oe'], 'the order of what goes to 1 and 2 with 2>&1')
status, out, err = bash('ps -eo pid,ppid,stat,comm; pgrep -x sleep; sleep 9 & ps -o ppid= -C sleep; pgrep -x sleep')
check(status == 0 and re.search(r' 1 +0 [RS]s +bash', out) and re.search(r'\n *\d+ +1 R\S* +ps\n +1\n\d+\n$', out), 'ps and pgrep', out)
gives('find / -xdev -type f 2>/dev/null | sort | md5sum | wc -c', '36\n', 'find | sort | md5sum')
for engine in 'io_uring', 'psync', 'posixaio': # what is written is read back and compared
    status, out, err = drupe('fio', '--name=x', f'--ioengine={engine}', '--directory=/tmp', '--size=1m', '--bs=4k', '--iodepth=16', '--rw=randwrite',
                             '--verify=crc32c', '--output-format=terse', timeout=120)
    check(status == 0 and out.split(b';')[4:5] == [b'0'], f'fio, {engine}', (status, out, err))
# More processes than there is room for: an error from fork, which ends a script, and the others with it.
status, out, err = bash('ulimit -u 30; for i in $(seq 60); do sleep 30 & done; echo after', '-u', '1000:1000')
check(status == 254 and 'Resource temporarily unavailable' in err, 'RLIMIT_NPROC', (status, out, err))
start = time.monotonic()
gives('sleep 1000 & sleep 1000 & echo end', 'end\n', 'the first process ends')
check(time.monotonic() - start < 100, 'and the others with it')

with tempfile.TemporaryDirectory() as tmp:
    script = os.path.join(tmp, 'mp.py')
    with open(script, 'w') as f:
        f.write('''import multiprocessing, os, subprocess
def square(x): return x * x
if __name__ == '__main__':
    print(subprocess.run(['/bin/echo', 'hi'], capture_output=True).stdout)
    with multiprocessing.Pool(3) as p:
        print(sum(p.map(square, range(100))))
    q = multiprocessing.Queue()
    p = multiprocessing.Process(target=lambda: q.put(os.getppid()))
    p.start()
    print(q.get() == os.getpid())
    p.join()
    print(p.exitcode, os.system('exit 4') >> 8)
''')
    status, out, err = drupe(*ADD, '--add', script, '/usr/bin/python3', script, timeout=120)
    same((status, out), (0, b"b'hi\\n'\n328350\nTrue\n0 4\n"), 'Python: subprocess and multiprocessing')

perl = r'''use Time::HiRes; use Test::More tests => 1; is(Time::HiRes::time() > 0, 1, "modules");
$|=1; open(F, "-|", "echo from; echo child") or die; print <F>; close F; pipe(R, W); if (!fork) { print W "kid\n"; exit 3 }
close W; print <R>; wait; print $? >> 8, "\n"; print `cat /proc/self/comm`;'''
same(drupe(*ADD, '/usr/bin/perl', '-e', perl)[:2], (0, b'1..1\nok 1 - modules\nfrom\nchild\nkid\n3\ncat\n'), 'Perl: its modules, fork, pipes, backticks')

# --- a terminal -------------------------------------------------------------------
t = Terminal(25, 80, *ADD, '/bin/bash', '--norc', '-i')


def types(text, want, what):
    t.type(text)
    t.expect(want, what)


# A job is in front when it says so: what is typed earlier is the shell's. It calls nothing: a ^Z between vfork() and exec would stop the child alone, on Linux as well.
JOB = b"""sh -c 'while read -r pid name state parent group session tty front more </proc/$$/stat; do n=$(((n + 1) % 50)); [ $n != 0 ] || [ $group != $front ] || echo in fr""ont; done'\r"""

t.shows(b'# ', 120)
types(b'PS1="pro""mpt> "\r', b'prompt> ', 'bash on a terminal')
types(JOB, b'in front', 'a job of the foreground')
types(b'\x1a', b'Stopped', '^Z stops the job')
t.expect(b'prompt> ', 'and the shell goes on')
types(b'bg; jobs\r', b'Running', 'bg')
t.expect(b'prompt> ', 'both go on')
types(b'fg\r', b'in front', 'fg')
types(b'\x03', b'prompt> ', '^C ends the foreground job')
types(b'cat &\r', b'prompt> ', 'a job that reads the terminal')
types(b'while [ -z "$(jobs -s)" ]; do sleep 0.1; done; jobs\r', b'Stopped', 'in the background it stops')
t.expect(b'prompt> ', 'the shell goes on')
types(b'fg\r', b'cat', 'fg')
types(b'typed\r', b'typed\r\ntyped', 'it reads now')
types(b'\x04', b'prompt> ', '^D ends it')
types(b'trap "echo g""ot" INT\r', b'prompt> ', 'trap')
for _ in range(100): # bash 5.2 misses one that comes between its prompt and its pselect(), on Linux as well
    t.type(b'\x03')
    if got := t.shows(b'got', 0.5):
        break
check(got, '^C is the shell\'s at its prompt', t.seen)
t.type(b'exit 5\r')
same(t.end(), 5, 'exit 5')
done()
