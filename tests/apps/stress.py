#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's stress-ng, two seconds of each stressor with --verify, each in an instance of its own: stress.py DRUPE BUILD --on PLATFORM [NAME...].

It must end in time and well, and leave no memory of the kernel's behind. What does not pass inside is run on this Linux, too: it may
fail inside if it fails here, and be skipped (stress-ng says that it does not find what it wants) if it is skipped here or is in REFUSED.
ABSENT are not run. Prints the table of docs/CONFORMANCE.md.
"""
import re
import sys
import tempfile

CHOSEN = sys.argv[5:]
del sys.argv[5:]
from lib import ON, bounded_command, check, done, drupe, time_left  # noqa: E402 (it takes the rest of argv as options)

STRESSORS = {
    'memory': 'atomic bad-altstack full malloc mcontend membarrier memfd memthrash mincore null pipe pipeherd remap resources rmap stackmmap '
              'tlb-shootdown vm-addr vm-rw vm-segv zero',
    'vm': 'bigheap brk dev-shm env madvise mlock mmap mmapaddr mmapfixed mmapfork mmaphuge mmapmany mprotect mremap msync msyncmany munmap '
          'pagemove shm shm-sysv stack userfaultfd vm vm-splice',
    'pipe': 'fifo ring-pipe sendfile splice tee',
    'io': 'aio aiol hdd io-uring readahead revio seek sync-file',
    'filesystem': 'access chattr chdir chmod chown copy-file dentry dir dirdeep dirmany dnotify dup fallocate fanotify fcntl fiemap file-ioctl '
                  'filename flock fpunch fsize fstat getdent handle inode-flags inotify io iomix ioprio lease link locka lockf lockofd mknod '
                  'open procfs rename symlink touch umount utime verity xattr',
    'network': 'dccp epoll icmp-flood netdev ping-sock rawpkt rawsock rawudp sctp sock sockabuse sockdiag sockfd sockmany sockpair tun udp udp-flood',
    'scheduler': 'affinity clone close context cyclic daemon eventfd exec exit-group fork forkheavy futex hrtimers kill mq msg mutex nanosleep '
                 'netlink-proc netlink-task nice poll pthread race-sched resched schedpolicy sem sem-sysv session sleep softlockup spawn switch '
                 'vfork vforkmany wait yield zombie',
    'interrupt': 'alarm clock fault itimer pidfd sigabrt sigchld sigfd sigfpe sigio signal sigpending sigpipe sigq sigrt sigsegv '
                 'signest sigsuspend sigtrap timer timerfd',
    'os': 'bad-ioctl cap chroot dev dynlib enosys get getrandom kcmp key landlock loadavg numa opcode personality prctl ptrace pty quota '
          'rlimit seal seccomp set sysbadaddr syscall sysinfo unshare urandom usersyscall vdso x86syscall',
}
ABSENT = {
    'af-alg, apparmor, binderfs, cpu-online, efivar, idle-page, klog, kvm, loop, memhotplug, pageswap, pci, physpage, ramfs, rawdev, rtc, swap, '
    'sysfs, tmpfs, watchdog': 'no such hardware, driver or file',
    'bind-mount, mlockmany, oom-pipe, reboot, sysinval': 'stress-ng asks for --pathological',
}
# What the kernel refuses, and says so (ENOSYS, EAFNOSUPPORT, EPROTONOSUPPORT, EPERM), while this Linux may have it.
REFUSED = set('dccp dnotify fanotify fiemap handle key landlock netlink-proc netlink-task numa ping-sock sctp '
              'tun userfaultfd usersyscall verity'.split())
ENDED = {'dccp'}                             # of these, by its own child at times: docs/CONFORMANCE.md
INTEL = {'x86syscall'} if ON[1] == 'qemu' else set() # skipped on CPUs of others, as QEMU's is
MORE = {'iomix': ['--iomix-bytes', '64M']}   # a gigabyte otherwise
UNPRIVILEGED = {'exec', 'spawn'}             # which root may not run
SECONDS, MEMORY = 2, '512M'
TIMEOUT = 600   # emulation beside other load takes minutes for what stress-ng does before it looks at the clock
LEAK_KIB = 2048 + 512 * 1024 // 64  # a part for each 4 KiB of memory once used, which the kernel keeps
BEHIND = re.compile(r'memory in use without the page cache: (\d+) KiB before the program, (\d+) KiB behind it')
SKIPPING = re.compile(r'skipping|will be skipped|not (?:supported|implemented)')


def expected(name, what, linux):
    return what == linux or (name in REFUSED | INTEL and what == 'skipped') or name in ENDED


def arguments(name, tmp):
    return ['stress-ng', f'--{name}', '1', '--timeout', str(SECONDS), '--verify', '--temp-path', tmp, *MORE.get(name, [])]


def verdict(status, said):
    if status in (3, 4) or (status == 0 and SKIPPING.search(said)): # no resources; not implemented
        return 'skipped'
    return 'passed' if status == 0 else 'failed'


def inside(name):
    user = ['-u', '1000:1000'] if name in UNPRIVILEGED else []
    status, out, err = drupe('-V', '-m', MEMORY, '--net', 'none', '--add', '/bin/true', *user, *arguments(name, '/tmp'), timeout=TIMEOUT)
    said = '\n'.join(l for l in (out.decode(errors='replace') + err).splitlines() if l.startswith('stress-ng'))
    m = BEHIND.search(err)
    left = int(m[2]) - int(m[1]) if m else None
    return verdict(status, said), left is not None and left <= LEAK_KIB, f'status {status}, {left} KiB left\n{said}'


def here(name):
    with tempfile.TemporaryDirectory() as tmp:
        status, said = bounded_command(*arguments(name, tmp), seconds=60)
    return verdict(status, said)


class Row:
    """Of a class of stressors."""

    def __init__(self):
        self.got = {'passed': [], 'failed': [], 'skipped': []}
        self.alike = []

    def run(self, kind, name):
        what, clean, detail = inside(name)
        linux = here(name) if what != 'passed' else what
        self.got[what].append(name)
        if what == linux != 'passed':
            self.alike.append(name)
        check(clean and expected(name, what, linux), f'{kind}: {name} {what}', f'on Linux {linux}\n{detail}')

    def __str__(self):
        bad = [n for k in ('failed', 'skipped') for n in self.got[k]]
        return (f'{" / ".join(str(len(names)) for names in self.got.values())} | {" ".join(n for n in bad if n not in self.alike)} '
                f'| {" ".join(self.alike)} |')


rows, late = {}, []
try:
    for kind, names in STRESSORS.items():
        for name in names.split():
            if CHOSEN and name not in CHOSEN:
                continue
            if time_left(TIMEOUT) < TIMEOUT:
                late.append(name)
            else:
                rows.setdefault(kind, Row()).run(kind, name)
    check(not late, 'there was time for all', f'not run: {" ".join(late)}')
finally: # whatever ends it
    print('| class | passed / failed / skipped | not passed inside alone | nor on this Linux |\n|---|---|---|---|')
    print('\n'.join(f'| {kind} | {row}' for kind, row in rows.items()), flush=True)
done()
