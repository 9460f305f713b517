#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every call that is there (tests/guest/traced_calls.c, traced_more.c), printed by drupe strace as Debian's strace prints it of the same program on this host.
What differs between two right systems is masked: addresses, numbers of processes and objects, times; and the results of the calls in RESULTS."""
import difflib
import os
import re
import subprocess
import time

from lib import DRUPE, ON, build_file, check, done, drupe, own_list, same

work = own_list('strace-calls')
# Who runs the program, and on what, decides what these return.
RESULTS = set('''linkat memfd_create pwritev2 mmap membarrier socketpair accept4 socket poll ppoll signalfd4 pidfd_send_signal clock_adjtime clone3 seccomp
    prlimit64 ioprio_get ioprio_set prctl syslog sched_getaffinity msgget semget shmget fork vfork clone getpid gettid getpgrp set_tid_address wait4
    io_uring_setup io_uring_enter mlock mlock2 mlockall name_to_handle_at inotify_add_watch capset setrlimit times settimeofday clock_settime
    adjtimex time chroot mount umount2 sched_setscheduler setpriority ptrace getpriority unshare statfs fstatfs brk getuid geteuid getgid getegid'''.split())
TIMES = set('''clock_gettime gettimeofday time timer_gettime timer_settime timerfd_settime timerfd_gettime adjtimex clock_adjtime sysinfo times getrusage
    wait4 waitid recvmmsg ppoll pselect6 sched_getattr'''.split())
PROCESSES = set('kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open kcmp process_vm_readv process_vm_writev waitid wait4'.split())


def plain(line):
    name = line.split('(')[0]
    line = re.sub(r'0x[0-9a-f]{7,}', 'ADDRESS', re.sub(r'\) += ', ') = ', line))
    if name in RESULTS:
        line = re.sub(r'\) = [^=]*( \(.*\))?$', ')', line)
    if name in PROCESSES:
        line = re.sub(r'\(([A-Z_]+, )?\d+, \d+(?=,)|\(([A-Z_]+, )?\d+(?=,)', '(PID', line)
    if name[:3] in ('msg', 'sem', 'shm'):
        line = re.sub(r'_[a-z]*time=\d+|_l?[clsr]+pid=\d+', 'N', re.sub(r'^(\w+)\(\d+(?=,)', r'\1(ID', line))
    if name in TIMES:
        line = re.sub(r'(?<![A-Za-z])\d+', 'N', re.sub(r' /\* \d+\.\d+ s \*/', '', line))
        line = re.sub(r'status=[\w|]+', 'STATUS', re.sub(r'N-N-NTN:N:N\+N', 'DATE', line))
    if name in ('capget', 'getrandom', 'statfs', 'io_uring_setup'):
        line = re.sub(r'effective=.*|"\\x.*?"|f_fsid.*|features=.*', 'N', line)
    if name == 'ioctl':
        line = re.sub(r'ifc_len=.*|ifr_mtu=\d+', 'N', line)
    line = re.sub(r'if_nametoindex\("\w+"\)|(?<=ipv6mr_interface=)\d', 'INTERFACE', line)
    return re.sub(r'st_size=\d+|si_pid=\d+|si_uid=\d+|thread_id=\d+|/\* \d+ vars \*/|(?<=revents=)[\w|]+', 'N', line)


def calls(text):
    """{call: its lines}, behind the mark; where one was cut by another thread's, both halves together."""
    found, halves, begun = {}, {}, False
    for line in text.splitlines():
        pid, line = re.match(r'(?:\[pid +)?(\d*)\]? *(.*)', line).groups()
        if line.endswith(' <unfinished ...>'):
            halves[pid] = line[:-len(' <unfinished ...>')]
            continue
        resumed = re.match(r'<\.\.\. \w+ resumed>(.*)', line)
        if resumed:
            if pid not in halves: # processes are named while there are several: one of the halves was written when there was one
                pid = next(iter(halves), pid)
            line = halves.pop(pid, '?') + resumed[1]
        begun |= 'access("/begin"' in line
        name = re.match(r'(\w+)\(|--- ', line)
        if begun and name:
            found.setdefault(name[1] or 'signal', []).append(plain(line))
    return found


def compare(program, names, lines):
    exe = build_file(program)
    host = subprocess.run(['strace', '-f', '-o', work.name + '/host', exe], capture_output=True, cwd='/tmp', timeout=120)
    status, out, err = drupe('--net', 'none', '-w', '/tmp', '--strace', exe, timeout=180)
    check(host.returncode == 7 and status == 7, f'{program} runs', (host, status, err[-2000:]))
    want, got = calls(open(work.name + '/host').read()), calls(err)
    check(len(want) >= names and sum(map(len, want.values())) >= lines, 'enough of them', (len(want), sum(map(len, want.values()))))
    check(want.keys() == got.keys(), 'the same calls', sorted(want.keys() ^ got.keys()))
    bad = []
    for name in sorted(want.keys() & got.keys()):
        bad += [l for l in difflib.unified_diff(want[name], got[name], 'strace', 'drupe', n=0, lineterm='') if l[:3] not in ('---', '+++', '@@ ')]
    check(not bad, 'printed as strace prints them', '\n'.join(bad[:40]))


compare('traced_calls', 281, 801)
compare('traced_more', 15, 500)


def read_slowly():
    """All there is to read of one that ends long before its reader is through."""
    p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', '-w', '/tmp', '--strace', build_file('traced_more')], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    text = b''
    while more := os.read(p.stderr.fileno(), 4096):
        text += more
        time.sleep(0.02)
    return p.wait(), b'exit_group(7)' in text


for _ in range(5):
    same(read_slowly(), (7, True), 'a slow reader gets the end as well')
done()
