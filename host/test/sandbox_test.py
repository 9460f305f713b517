#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An instance as a process: what it gets, what it gave up, and how it ends. sandbox_test.py DRUPE FAKE_HOST

The stand-in fake_host.c itself checks the boot block, the descriptors and the memory, and exits 99 where something
is not as abi/host.h says; from outside /proc tells the rest.
"""
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

from lib import DRUPE, WORK, check, compile_c, done, environment, work

NAME = f'sandboxed-{os.getpid()}'
HELLO = compile_c(NAME, 'int main(void){return 0;}')
ROOT = os.geteuid() == 0
os.chmod(WORK, 0o755)
FAKE = work('fake-host', open(sys.argv[2], 'rb').read(), 0o755)
# Where an ordinary user finds everything, wherever the build lies.
for name in ('drupe', 'drupe-slirp'):
    shutil.copy(os.path.join(os.path.dirname(DRUPE), name), WORK)
DRUPE = WORK + '/drupe'
ENV = environment(DRUPE_HOST_KERNEL=FAKE)
NAMESPACES = ['user', 'pid', 'mnt', 'ipc', 'uts', 'net', 'cgroup']


def start(what, *options, **more):
    more.setdefault('stdin', subprocess.DEVNULL)
    more.setdefault('env', ENV)
    more.setdefault('stdout', subprocess.PIPE)
    more.setdefault('stderr', subprocess.PIPE)
    return subprocess.Popen([DRUPE, 'run', '--on', 'host', *options, HELLO, what], **more)


def run(what, *options, timeout=120, **more):
    p = start(what, *options, **more)
    out, err = p.communicate(timeout=timeout)
    return p.returncode, out.decode(errors='replace'), err.decode(errors='replace')


def children(pid):
    return [int(c) for c in
            subprocess.run(['ps', '-o', 'pid=', '--ppid', str(pid)], capture_output=True, text=True).stdout.split()]


def stat_of(pid):
    with open(f'/proc/{pid}/status') as f:
        return dict(l.rstrip('\n').split(':\t', 1) for l in f if ':\t' in l)


def told(p):
    """What the stand-in says of itself, up to its last line."""
    lines = []
    while not lines or lines[-1] != 'ready':
        line = p.stdout.readline().decode()
        if not line:
            raise RuntimeError(p.stderr.read().decode())
        lines.append(line.rstrip('\n'))
    return lines


def kill(p):
    """End it, however stubborn it is; what it had to say."""
    p.send_signal(signal.SIGINT)
    p.send_signal(signal.SIGTERM)
    return p.communicate(timeout=60)[1].decode(errors='replace')


def limit(pid, name):
    with open(f'/proc/{pid}/limits') as f:
        line = next(l for l in f if l.startswith(name))
    return line[26:].split()[:2]


def look(p, who, uid):
    """Everything that can be seen of an instance from outside."""
    lines = told(p)
    pids = children(p.pid)
    check(len(pids) == 1, f'{who}: one process below drupe', pids)
    pid = pids[0]
    st = stat_of(pid)
    check(f'uid 65534 pid 1 files {2}' in lines, f'{who}: it is nobody, number 1, and finds no files', lines)
    check(st['Uid'].split() == [str(uid)] * 4, f'{who}: its user', st['Uid'])
    check(all(int(st[c], 16) == 0 for c in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')), f'{who}: no capabilities', st)
    check(st['NoNewPrivs'] == '1' and st['SigBlk'] == '0' * 16, f'{who}: no new privileges, no blocked signals', st)
    own = {n: os.readlink(f'/proc/{pid}/ns/{n}') for n in NAMESPACES}
    shared = [n for n in NAMESPACES if own[n] == os.readlink(f'/proc/self/ns/{n}')]
    check(not shared, f'{who}: no namespace in common', shared)
    check(os.listdir(f'/proc/{pid}/root') == [], f'{who}: an empty root')
    with open(f'/proc/{pid}/mountinfo') as f:
        mounts = f.read().splitlines()
    check(len(mounts) == 1 and ' ro,nosuid,nodev,noexec' in mounts[0], f'{who}: one mount, read-only', mounts)
    check(open(f'/proc/{pid}/environ').read() == '', f'{who}: an empty environment')
    check(open(f'/proc/{pid}/cmdline').read() == f'drupe-instance:{NAME}\0', f'{who}: a telling name')
    check(os.getsid(pid) == pid, f'{who}: a session of its own')
    want = {'Max core file size': '0', 'Max open files': '64', 'Max stack size': '8388608', 'Max processes': '128'}
    got = {n: limit(pid, n) for n in want}
    check(all(got[n] == [v, v] for n, v in want.items()), f'{who}: limits', got)
    return lines, st, pid


p = start('tell', '-m', '64M', '--net', 'none')
lines, st, pid = look(p, 'root' if ROOT else 'user', 65534 if ROOT else os.getuid())
if ROOT:
    check(st['Groups'].strip() == '' and st['Gid'].split() == ['65534'] * 4, 'root: no group but nogroup', st['Groups'])
check(lines[0] == 'memory 67108864', 'the memory\'s size', lines)
check([l for l in lines if l.startswith('device')] == ['device 1 root', 'device 2 drupe.control', 'device 2 drupe.stdin',
                                                       'device 2 drupe.stdout', 'device 2 drupe.stderr'], 'the devices', lines)
with open(f'/proc/{pid}/smaps_rollup') as f:
    resident = next(int(l.split()[1]) for l in f if l.startswith('Rss'))
check(resident < 1024, 'memory is not touched before it is used', resident)
kill(p)

p = start('tell', '--net', 'user', '-m', '5M', env={**ENV, 'DRUPE_KERNEL_ARGS': 'drupe.log=debug more'})
lines = told(p)
check('device 4 net' in lines and len(children(p.pid)) == 1, 'user networking: frames, and no process before the first', lines)
check('memory 6291456' in lines, 'memory is a multiple of 2 MiB', lines)
check('cmdline drupe.log=debug more' in lines, 'the command line', lines)
kill(p)

# The shell's limits and ignored signals are not the instance's.
p = start('tell', '--net', 'none', preexec_fn=lambda: (resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, -1)),
                                                     signal.signal(signal.SIGHUP, signal.SIG_IGN), os.open('/', os.O_RDONLY)))
told(p)
pid = children(p.pid)[0]
check(limit(pid, 'Max stack size')[0] == '8388608', 'the stack\'s limit is fixed')
check(int(stat_of(pid)['SigIgn'], 16) == 1 << 12, 'no ignored signals but the one it ignores itself', stat_of(pid)['SigIgn'])
kill(p)
inherited = os.open('/etc/passwd', os.O_RDONLY)
os.set_inheritable(inherited, True)
check(run('exit3', '--net', 'none', close_fds=False)[0] == 3, 'no descriptor of the caller\'s comes through')
os.close(inherited)

# Ends.
stuck_end = []


def mute():
    begin = time.monotonic()
    stuck_end[:] = run('mute', '--net', 'none', timeout=120), time.monotonic() - begin


stuck = threading.Thread(target=mute)
stuck.start()
status, out, err = run('forbidden', '--net', 'none')
check(status == 125 and 'system call that is not on its list' in err and 'last line of the console' in err,
      'a forbidden call: 125, why, and the console', (status, err))
status, out, err = run('fault', '--net', 'none')
check(status == 125 and 'signal 11' in err, 'a fault of the kernel: 125 and the signal', (status, err))
status, out, err = run('nonsense', '--net', 'none')
check(status == 125 and 'without a word' in err and 'exit status 7' in err, 'an end without a word: 125', (status, err))
begin = time.monotonic()
status, out, err = run('orphan', '--net', 'none')
check(status == 125 and time.monotonic() - begin < 60, 'nobody who stays behind is waited for', (status, err))
if ROOT:
    begin = time.monotonic()
    status, out, err = run('bomb', '--net', 'none')
    check(status == 0 and time.monotonic() - begin < 60, 'a bomb of processes comes to its end', (status, err))
p = start('flood', '--net', 'none')
time.sleep(1)
check(p.poll() is None, 'a flood of messages is drunk')
with open(f'/proc/{p.pid}/status') as f:
    used = next(int(l.split()[1]) for l in f if l.startswith('VmRSS'))
check(used < 20000, 'and kept in bounds', used)
kill(p)
check(p.returncode == 137, 'and can be stopped', p.returncode)
p = start('stubborn', '--net', 'none', stdin=subprocess.PIPE)
p.stdout.readline()
try:
    os.set_blocking(p.stdin.fileno(), False)
    while True:
        p.stdin.write(b'x' * 65536)
        p.stdin.flush()
except BlockingIOError:
    pass
check(p.poll() is None, 'an instance that does not read holds nobody up')
os.kill(children(p.pid)[0], signal.SIGKILL)
try:
    p.stdin.close()
except OSError:
    pass
p.stdin = None
err = p.communicate(timeout=60)[1].decode()
check(p.returncode == 125 and 'signal 9' in err and ('memory' in err), 'killed from outside: 125 and what may have done it', err)
stuck.join()
(status, out, err), took = stuck_end
check(status == 125 and 'no word from the kernel' in err and 9 < took < 60, 'a stuck boot: 125', (status, err, took))

# What cannot be executed.
status, out, err = run('exit3', env={**ENV, 'DRUPE_HOST_KERNEL': work('nokernel', b'no kernel', 0o755)})
check(status == 125 and 'executing the kernel image' in err and 'Exec format' in err, 'no kernel image: 125 and why', (status, err))
status, out, err = run('exit3', env={**ENV, 'DRUPE_HOST_KERNEL': work('noexec', b'no kernel', 0o644)})
check(status == 125 and 'Permission denied' in err, 'nothing that may be executed: 125 and why', (status, err))
status, out, err = run('exit3', '--machine', 'q35')
check(status == 125 and '--machine q35' in err, '--machine is for machines', err)
status, out, err = run('exit3', '-V', '--net', 'none')
check(status == 3 and 'sandbox: own user, PID' in err, '-V says what the sandbox is', err)


# The choice.
status, out, err = run('exit3', '-V', '--net', 'none', '--on', 'auto')
check(status == 3 and ('a sandboxed process of this host, because' in err or 'QEMU with KVM' in err), 'auto says what and why', err)
if 'a sandboxed process' in err:
    status, out, err = run('exit3', '--net', 'none', '--on', 'kvm')
    check(status == 125 and '/dev/kvm' in err and '--on host' in err, 'and --on kvm says what is wrong with it', err)

# An ordinary user, whoever runs this.
if ROOT:
    USER = 4321
    other = {'user': USER, 'group': USER, 'extra_groups': [],
             'env': environment(DRUPE_HOST_KERNEL=FAKE, DRUPE_CACHE=WORK + '/cache-of-user', HOME='/nonexistent')}
    os.mkdir(WORK + '/cache-of-user')
    os.chown(WORK + '/cache-of-user', USER, USER)
    p = start('tell', '-m', '64M', **other)
    look(p, 'user', USER)
    kill(p)


# A host that refuses namespaces, as containers do by a filter for system calls: the rest of the sandbox holds.
CONFINE = compile_c('confine', r'''
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#define REFUSE(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1)
int main(int argc, char **argv)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), REFUSE(SYS_unshare), REFUSE(SYS_mount),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x7e020000, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) || execv(argv[1], argv + 1);
}
''')
p = subprocess.Popen([CONFINE, DRUPE, 'run', '-V', '--on', 'host', '--net', 'none', HELLO, 'tell'], stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)
told(p)
st = stat_of(children(p.pid)[0])
err = kill(p)
check('refuses a user namespace, PID namespace, mount namespace' in err, 'a host without namespaces: it runs, and -V says so', err)
check(st['NoNewPrivs'] == '1' and int(st['CapEff'], 16) == 0 and st['Uid'].split()[1] != '0', 'without privileges', st)
if ROOT: # a process that stays behind is no longer in the PID namespace that ends with its first
    p = subprocess.Popen([CONFINE, DRUPE, 'run', '--on', 'host', '--net', 'none', HELLO, 'orphan'], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)
    err = p.communicate(timeout=60)[1].decode()
    left = subprocess.run(['pgrep', '-f', f'^drupe-instance:{NAME}'], capture_output=True, text=True).stdout.split()
    check(p.returncode == 125 and not left, 'where there is no PID namespace, the group is ended', (p.returncode, err, left))


# TAP interfaces need root's hand once.
def tap(*args):
    return subprocess.run(['ip', *args], stderr=subprocess.PIPE, text=True)


if ROOT and os.path.exists('/dev/net/tun') and tap('tuntap', 'add', 'drupetest0', 'mode', 'tap', 'user', '0').returncode == 0:
    try:
        tap('link', 'set', 'drupetest0', 'mtu', '1400', 'up')
        p = start('tell', '--net', 'tap:drupetest0')
        lines = told(p)
        check('device 3 net tso' in lines, 'a TAP interface, with segmentation', lines)
        status, out, err = run('exit3', '--net', 'tap:drupetest0')
        check(status == 125 and 'another process uses' in err, 'that is in use', (status, err))
        kill(p)
        status, out, err = run('exit3', '--net', 'tap:drupetest0', **other)
        check(status == 125 and 'needs root' in err and 'mode tap user' in err, 'that belongs to somebody else', (status, err))
        status, out, err = run('exit3', '--net', 'tap:lo')
        check(status == 125 and 'no TAP interface' in err, 'that is none', (status, err))
        tap('link', 'del', 'drupetest0')
        tap('tuntap', 'add', 'drupetest0', 'mode', 'tap', 'user', str(USER))
        status, out, err = run('exit3', '--net', 'tap:drupetest0', **other)
        check(status == 3, 'that an ordinary user owns', (status, err))
    finally:
        tap('link', 'del', 'drupetest0')

# Memory that a control group takes away.
GROUPS = [g for g in ('/sys/fs/cgroup/memory', '/sys/fs/cgroup')
          if os.path.exists(g + '/cgroup.procs') and (g.endswith('memory') or 'memory' in open(g + '/cgroup.subtree_control').read())]
if ROOT and GROUPS and os.access(GROUPS[0], os.W_OK):
    group = f'{GROUPS[0]}/drupe-test-{os.getpid()}'
    os.mkdir(group)
    try:
        with open(group + ('/memory.limit_in_bytes' if GROUPS[0].endswith('memory') else '/memory.max'), 'w') as f:
            f.write(str(32 << 20))

        def join():
            with open(group + '/cgroup.procs', 'w') as f:
                f.write(str(os.getpid()))

        status, out, err = run('eat', '--net', 'none', '-m', '256M', preexec_fn=join)
        check(status == 125 and 'memory limit has ended 1 process' in err, 'too little memory on the host: 125 and why', (status, err))
    finally:
        os.rmdir(group)
done()
