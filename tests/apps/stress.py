#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's stress-ng, two seconds of each stressor with --verify, each in an instance of its own: stress.py DRUPE BUILD --on PLATFORM [NAME...].

It must end in time and well, and leave no memory of the kernel's behind. "Skipped" is stress-ng's own word for what it
does not find here; ABSENT are those that could only be skipped, or that make no sense.
"""
import re
import sys

CHOSEN = sys.argv[5:]
del sys.argv[5:]
from lib import check, done, drupe  # noqa: E402 (it takes the rest of argv as options)

STRESSORS = {
    'memory': 'atomic bad-altstack full malloc mcontend membarrier memfd memthrash mincore null pipe pipeherd remap resources rmap stackmmap '
              'tlb-shootdown vm-addr vm-segv zero',
    'vm': 'bigheap brk dev-shm env madvise mlock mmap mmapaddr mmapfixed mmapfork mmapmany mprotect mremap msync msyncmany munmap '
          'pagemove shm shm-sysv vm-splice',
    'pipe': 'fifo ring-pipe sendfile splice',
    'io': 'aio hdd readahead revio seek sync-file',
    'filesystem': 'access chdir chmod chown copy-file dentry dir dirdeep dirmany dup fallocate fcntl fiemap file-ioctl filename flock fpunch '
                  'fstat getdent inode-flags inotify io iomix ioprio link locka lockf lockofd mknod open procfs rename symlink touch '
                  'utime xattr',
    'scheduler': 'clone close context cyclic daemon eventfd exit-group fork forkheavy futex hrtimers kill mq msg mutex nanosleep nice poll '
                 'pthread race-sched resched schedpolicy sem sem-sysv session sleep switch vfork vforkmany wait yield zombie',
    'interrupt': 'alarm clock fault itimer pidfd sigabrt sigchld sigfd sigfpe sigio signal signest sigpending sigpipe sigq sigrt sigsegv '
                 'sigsuspend sigtrap timer timerfd',
    'os': 'cap chroot dev dynlib enosys epoll get getrandom kcmp loadavg personality prctl ptrace pty rlimit seal set sock sockabuse sockfd '
          'sockmany sockpair sysbadaddr syscall sysinfo udp urandom usersyscall vdso x86syscall',
}
ABSENT = {
    'affinity, numa': 'one CPU',
    'af-alg, dccp, sockdiag, netlink-*, ping-sock, raw*, icmp-flood, tun': 'no such sockets',
    'io-uring, userfaultfd, fanotify, dnotify, lease, landlock, key, quota, handle, verity, tee': 'no such calls: refused',
    'bind-mount, binderfs, ramfs, tmpfs, umount, unshare, loop, swap, pageswap': 'nothing can be mounted but tmpfs, proc and binds; no swap',
    'cpu-online, efivar, idle-page, klog, kvm, memhotplug, pci, physpage, rawdev, rtc, sysfs, watchdog': 'no such hardware or file',
    'oom-pipe, mlockmany, sysinval, spawn, exec': 'stress-ng asks for --pathological, or for its own file',
}
SECONDS, MEMORY, LEAK_KIB = 2, '256M', 2048
BEHIND = re.compile(r'memory in use without the page cache: (\d+) KiB before the program, (\d+) KiB behind it')
SKIPPED = {3, 4}    # no resources; not implemented

for kind, names in STRESSORS.items():
    skipped = []
    for name in names.split():
        if CHOSEN and name not in CHOSEN:
            continue
        status, out, err = drupe('-V', '-m', MEMORY, '--net', 'none', '--add', '/bin/true', 'stress-ng', f'--{name}', 1, '--timeout', SECONDS,
                                 '--verify', '--temp-path', '/tmp', timeout=90)
        said = '\n'.join(l for l in (out.decode(errors='replace') + err).splitlines() if l.startswith('stress-ng'))
        m = BEHIND.search(err)
        left = int(m[2]) - int(m[1]) if m else None
        good = status in {0} | SKIPPED and left is not None and left <= LEAK_KIB
        if status in SKIPPED:
            skipped.append(name)
        check(good, f'{kind}: {name}', f'status {status}, {left} KiB left\n{said}')
    print(f'# {kind}: skipped by stress-ng: {" ".join(skipped) or "none"}')
done()
