#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drupe strace beside Debian's strace of the same programs on this host: the lines that both print of a call, but for what differs between two
right systems (addresses, numbers of processes, times), must be the same. Then attaching, filters, sums, and many clients under load."""
import collections
import re
import signal
import subprocess
import tempfile
import threading
import time

from lib import DRUPE, build_file, check, command, counters, done, drupe, own_list, polls, redis, same, talk, until

work = own_list('strace')


# --- the same program here and there ------------------------------------------------------------

def plain(line):
    line = re.sub(r'^\[pid +\d+\] ', '', line)
    line = re.sub(r'\) += ', ') = ', line)
    line = re.sub(r'0x[0-9a-f]{6,}', 'ADDRESS', line)
    line = re.sub(r'^kill\(\d+', 'kill(PID', line)
    line = re.sub(r'^kcmp\(\d+, \d+', 'kcmp(PID, PID', line)
    line = re.sub(r'st_size=\d+|st_rdev=[^,]*, [^,]*\)|/\* \d+ vars \*/|si_uid=\d+|stx_attributes=\w+|stx_mask=[\w|]+', 'N', line)
    return line


def lines(text, calls):
    return [plain(l) for l in text.splitlines() if l.split('(')[0].split('] ')[-1] in calls and 'unfinished' not in l and 'resumed' not in l]


EXE = build_file('traced')
CALLS = ('openat open read write pread64 pwrite64 readv writev close newfstatat lseek mkdir rmdir unlink rename symlink readlink chmod ftruncate '
         'access fcntl dup dup2 dup3 pipe pipe2 socketpair socket bind listen getsockname connect accept4 sendto recvfrom sendmsg recvmsg shutdown '
         'setsockopt getsockopt poll ppoll epoll_create1 epoll_ctl epoll_wait eventfd2 timerfd_create timerfd_settime rt_sigprocmask rt_sigaction kill '
         'nanosleep clock_nanosleep clock_gettime getrlimit prlimit64 umask getcwd chdir ioctl select pselect6 futex mmap munmap mprotect madvise '
         'memfd_create getrandom utimensat statx prctl flock utime utimes preadv pwritev2 sendfile splice sync_file_range mknodat capget timer_create '
         'mq_open mq_getsetattr mq_unlink membarrier sched_getscheduler personality kcmp arch_prctl').split()
host = subprocess.run(['strace', '-f', '-o', work.name + '/host', EXE], capture_output=True, cwd='/tmp', timeout=60)
status, out, err = drupe('--net', 'none', '-w', '/tmp', '--strace', EXE, timeout=120)
check(host.returncode == 0 and status == 0, 'the program runs', (host, status, err[-2000:]))


def after_mark(text):
    """What it does behind its own beginning: access("/begin")."""
    found = text.split('access("/begin"', 1)
    return found[1].split('\n', 1)[1] if len(found) == 2 else ''


want = lines(after_mark(re.sub(r'^\d+ +', '', open(work.name + '/host').read(), flags=re.M)), CALLS)
got = lines(after_mark(err), CALLS)
different = [f'strace: {w}\ndrupe:  {g}' for w, g in zip(want, got) if w != g]
check(len(want) > 60 and len(want) == len(got), f'the same {len(want)} calls', '\n'.join([str((len(want), len(got)))] + different[:3]))
check(not different, 'printed as strace prints them', '\n'.join(different[:8]))
check('+++ exited with 0 +++' in err and re.search(r'exit_group\(0\) += \?', err), 'its end', err[-500:])
check('--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=' in err, 'its signal', [l for l in err.splitlines() if l.startswith('---')])

first, there = next(iter(open(work.name + '/host'))), err.splitlines()[0]
same(re.sub(r'0x\w+|\d+ vars', 'N', there), re.sub(r'0x\w+|\d+ vars', 'N', first.split(' ', 1)[1].strip()), 'its first call: that of the program itself')
status, out, err = drupe('--net', 'none', '--strace', '/bin/sh', '-c', 'exit 3', timeout=120)
check(status == 3 and re.match(r'execve\("/bin/sh", \["/bin/sh", "-c", "exit 3"\], 0x[0-9a-f]+ /\* \d+ vars \*/\) = 0\n', err), 'with arguments', err[:300])
status, out, err = drupe('--net', 'none', '--summary', EXE, timeout=120)
rows = {l.split()[-1]: l.split() for l in err.splitlines() if re.match(r' *\d+\.\d\d ', l)}
check(status == 0 and int(rows['write'][3]) >= 3 and rows['execve'][3] == '1' and rows['total'][-1] == 'total', 'run --summary', err[-1500:])
status, out, err = drupe('--net', 'none', '--summary', '/usr/bin/perl', '-e', 'syscall(134) for 1, 2', timeout=120)
check('not there (ENOSYS): uselib 2' in err, 'names what was missing', err[-300:])

# --- a server -----------------------------------------------------------------------------------------

port = redis('s')


class Trace:
    """drupe strace in the background."""

    def __init__(self, *args):
        self.file = tempfile.TemporaryFile()
        self.p = subprocess.Popen([DRUPE, 'strace', *args], stderr=self.file, stdout=self.file)
        until(lambda: polls(self.p, 2)) # for records and for its end

    def end(self):
        self.p.send_signal(signal.SIGINT)
        status = self.p.wait(60)
        self.file.seek(0)
        return status, self.file.read().decode(errors='replace')


t = Trace('s')
for _ in range(20):
    talk(port, b'PING\r\n')
status, text = t.end()
check(status == 0 and len(re.findall(r'"PING\\r\\n", \d+\) += 6\n', text)) == 20 and len(re.findall(r'"\+PONG\\r\\n", 7\) += 7\n', text)) == 20, 'attached: requests and answers', text[-1500:])
check(re.search(r'accept4?\(\d+, \{sa_family=AF_INET, sin_port=htons\(\d+\), sin_addr=inet_addr\("[\d.]+"\)\}, \[\d+( => \d+)?\]', text), 'addresses', text[-1500:])
t = Trace('-e', 'trace=write,%network', 's')
for _ in range(5):
    talk(port, b'PING\r\n')
status, text = t.end()
names = {re.sub(r'^\[pid +\d+\] ', '', l).split('(')[0] for l in text.splitlines() if '(' in l}
check('write' in names and not names & {'read', 'epoll_wait', 'close'}, '-e trace=', names)
t = Trace('-Z', 's')
for _ in range(5):
    talk(port, b'PING\r\n')
status, text = t.end()
check(text and all(' = -1 E' in l or l.startswith(('---', '+++')) or ' = ? ' in l for l in text.splitlines()), '-Z', text[-500:])
t = Trace('-z', '-e', 'trace=%network', 's')
for _ in range(5):
    talk(port, b'PING\r\n')
status, text = t.end()
check('accept' in text and ' = -1 ' not in text and re.search(r'<unfinished|resumed', text) is None, '-z', text[-500:])
t = Trace('-e', 'errno=EAGAIN,EPERM', 's')
talk(port, b'PING\r\n')
status, text = t.end()
check('accept4' in text and all(' = -1 EAGAIN' in l for l in text.splitlines()), '-e errno=', text[-500:])
t = Trace('-e', 'errno=ENOENT', 's')
talk(port, b'PING\r\n')
same(t.end(), (0, ''), 'and of one that does not come')
t = Trace('-P', 'dump.rdb', 's')
talk(port, b'SAVE\r\n')
status, text = t.end()
check(re.search(r'^(\[pid +\d+\] )?rename\("temp-1.rdb", "dump.rdb"\) += 0$', text, re.M) and all('"dump.rdb"' in l for l in text.splitlines()), '-P', text[-500:])
t = Trace('-e', 'trace=epoll_wait,read', 's')
talk(port, b'PING\r\n')
status, text = t.end()
epoll = re.search(r'epoll_wait\((\d+)', text)[1]
t = Trace('-e', f'fd={epoll},1000', 's')
for _ in range(3): # the last one's end may not be seen
    talk(port, b'PING\r\n')
status, text = t.end()
check(text.count('epoll_ctl') >= 2 and all(f'({epoll}, ' in l or 'resumed' in l or 'detached' in l for l in text.splitlines()), '-e fd=', text[-500:])
t = Trace('-c', 's')
for _ in range(30):
    talk(port, b'PING\r\n')
status, text = t.end()
rows = {l.split()[-1]: l.split() for l in text.splitlines() if re.match(r' *\d+\.\d\d ', l)}
check(status == 0 and 30 <= int(rows.get('write', [0] * 4)[3]) < 40, '-c counts', text)
for words in (('-e', 'trace=nonsense', 's'), ('-e', 'errno=ENONSENSE', 's'), ('-P', 'x' * 300, 's'), ('-p', 'x', 's'), ('-s', '100000', 's'), ('--nonsense', 's'), ()):
    check(command('strace', *words)[0] == 125, 'refused: ' + ' '.join(words))
check(command('strace', 'nobody')[0] == 1, 'refused: nobody')

# --- many clients under load -----------------------------------------------------------------------------


def memory():
    now = counters('s')
    return now['memory_bytes', 'kernel'] + now['memory_bytes', 'slab']


load = subprocess.Popen(['redis-benchmark', '-p', str(port), '-t', 'ping_mbulk', '-n', '100000000', '-q', '-c', '4'], stdout=subprocess.DEVNULL)
before = memory()
counts = collections.Counter()


def attach():
    for i in range(25):
        p = subprocess.Popen([DRUPE, 'strace', *(['-c'] if i % 3 == 0 else []), '-o', '/dev/null', 's'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.05)
        p.send_signal(signal.SIGKILL if i % 2 else signal.SIGINT)
        try:
            said = p.communicate(timeout=120)[1]
            counts[True if p.returncode in (0, -2, -9) else f'{p.returncode}: {said.decode(errors="replace")}'] += 1
        except subprocess.TimeoutExpired:
            p.kill()
            counts['stuck'] += 1


threads = [threading.Thread(target=attach) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
load.terminate()
load.wait()
same(counts, collections.Counter({True: 100}), '100 clients come and go under load')
same(talk(port, b'PING\r\n'), b'+PONG\r\n', 'it answers as before')
until(lambda: memory() - before < 256 << 10) # the last ones may still be leaving
check(memory() - before < 256 << 10, 'they leave nothing in the kernel', memory() - before)
command('stop', 's')
command('rm', '-f', 's')
done()
