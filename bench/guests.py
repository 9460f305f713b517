# SPDX-License-Identifier: Apache-2.0
"""The two guests that benchmarks compare, both under the same QEMU:

  Drupe  `drupe run` of a Debian program
  Linux  Debian's linux-image-cloud-amd64 with an initramfs whose init is the program

Networks are a TAP device in a namespace of their own; the load runs there too.
"""
import contextlib
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HOST_IP, GUEST_IP = '10.77.0.1', '10.77.0.2'
GUEST_MAC = '52:54:00:77:00:02'
NS, TAP = 'drupe-bench', 'dbench0'


def sh(*argv, check=True, **kw):
    return subprocess.run(list(map(str, argv)), check=check, capture_output=True, text=True, **kw)


def tsc_khz():
    """The host's TSC frequency for Linux' tsc_early_khz (without it microvm hangs at times)."""
    t0, c0 = time.perf_counter_ns(), _rdtsc()
    time.sleep(0.05)
    t1, c1 = time.perf_counter_ns(), _rdtsc()
    return int((c1 - c0) * 1e6 / (t1 - t0))


def _rdtsc():
    import ctypes
    import mmap
    global _code
    if '_code' not in globals():
        _code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        _code.write(b'\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3')
    fn = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(_code)))
    return fn()


# --- network ------------------------------------------------------------------


@contextlib.contextmanager
def network():
    """A namespace with one TAP device; yields the command prefix that runs inside it."""
    sh('ip', 'netns', 'del', NS, check=False)
    sh('ip', 'netns', 'add', NS)
    inside = ['ip', 'netns', 'exec', NS]
    try:
        sh(*inside, 'ip', 'link', 'set', 'lo', 'up')
        sh(*inside, 'ip', 'tuntap', 'add', TAP, 'mode', 'tap', 'vnet_hdr')
        sh(*inside, 'ip', 'addr', 'add', HOST_IP + '/24', 'dev', TAP)
        sh(*inside, 'ip', 'link', 'set', TAP, 'up')
        yield inside
    finally:
        sh('ip', 'netns', 'del', NS, check=False)


def wait_port(inside, port, seconds=120):
    """Wait until something in the guest listens."""
    code = (f'import socket\nsocket.create_connection(("{GUEST_IP}", {port}), 1).close()')
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if sh(*inside, 'python3', '-c', code, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f'nothing listens on port {port} of the guest')


@contextlib.contextmanager
def process(argv, log, stdin=subprocess.DEVNULL):
    """A process in a group of its own, ended with everything below it."""
    with open(log, 'wb') as out:
        p = subprocess.Popen(list(map(str, argv)), stdin=stdin, stdout=out, stderr=subprocess.STDOUT,
                             start_new_session=True)
    try:
        yield p
    finally:
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGTERM)
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()


# --- Linux --------------------------------------------------------------------


class LinuxGuest:
    """An initramfs with programs and their libraries, and the QEMU that boots it."""

    def __init__(self, work):
        self.work = work
        self.kernel = sorted(glob.glob('/boot/vmlinuz-*-cloud-amd64'))[-1]
        self.version = os.path.basename(self.kernel)[len('vmlinuz-'):]
        self.tsc = tsc_khz()

    def _add(self, root, path, dest=None):
        dest = root + (dest or path)
        os.makedirs(os.path.dirname(dest), exist_ok=True)
        if not os.path.exists(dest):
            shutil.copy(os.path.realpath(path), dest)

    def _add_program(self, root, path, dest=None):
        self._add(root, path, dest)
        for line in sh('ldd', path, check=False).stdout.splitlines():
            m = re.search(r'(/\S+) \(0x', line)
            if m:
                self._add(root, m.group(1))

    def _modules(self, *names):
        """Paths below kernel/ of modules and what they need, in the order to load them."""
        deps = {}
        with open(f'/lib/modules/{self.version}/modules.dep') as f:
            for line in f:
                path, _, needs = line.partition(':')
                deps[path.removeprefix('kernel/')] = [n.removeprefix('kernel/') for n in needs.split()]
        order = []

        def add(path):
            for need in deps[path]:
                add(need)
            if path not in order:
                order.append(path)

        for name in names:
            add(next(p for p in deps if p.endswith(f'/{name}.ko')))
        return order

    def initramfs(self, name, init_program=None, programs=(), script=None, dirs=(), files=()):
        """init_program becomes /init itself; otherwise a busybox script brings the network up and runs `script`."""
        root = os.path.join(self.work, name + '.root')
        shutil.rmtree(root, ignore_errors=True)
        for d in ('/dev', '/proc', '/sys', '/tmp', '/run', '/etc', '/var', *dirs):
            os.makedirs(root + d, exist_ok=True)
        if init_program:
            self._add_program(root, init_program, '/init')
        for p in programs:
            self._add_program(root, p)
        for f in files:
            if os.path.isdir(f):
                os.makedirs(os.path.dirname(root + f), exist_ok=True)
                sh('cp', '-rLT', f, root + f, check=False)  # links become what they name; dangling ones stay out
            else:
                self._add(root, f)
        if script:
            self._add(root, '/bin/busybox', '/bin/busybox')
            base = f'/lib/modules/{self.version}/kernel'
            mods = self._modules('virtio_mmio', 'virtio_pci', 'virtio_net')
            for m in mods:
                self._add(root, f'{base}/{m}')
            for f in ('/etc/passwd', '/etc/group', '/etc/nsswitch.conf'):
                self._add(root, f)
            with open(root + '/init', 'w') as f:
                f.write('#!/bin/busybox sh\n/bin/busybox --install -s /bin\nmount -t devtmpfs dev /dev\n'
                        'mount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t tmpfs tmp /tmp\n'
                        + ''.join(f'insmod {base}/{m}\n' for m in mods)
                        + f'ip link set lo up\nip addr add {GUEST_IP}/24 dev eth0\nip link set eth0 up\n'
                        f'arp -s {HOST_IP} $(tr " " "\\n" </proc/cmdline | sed -n s/hostmac=//p)\n' + script + '\n')
            os.chmod(root + '/init', 0o755)
        image = os.path.join(self.work, name + '.cpio')
        subprocess.run(f'cd {root} && find . | cpio -o -H newc --quiet > {image}', shell=True, check=True)
        return image

    def argv(self, initramfs, machine='microvm', memory='512M', net=False, extra=(), append=''):
        argv = ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-m', memory, '-nodefaults', '-no-user-config',
                '-display', 'none', '-no-reboot', '-serial', 'stdio', '-kernel', self.kernel, '-initrd', initramfs]
        if machine == 'microvm':
            argv += ['-M', 'microvm,acpi=on,rtc=on', '-global', 'virtio-mmio.force-legacy=false']
        else:
            argv += ['-M', 'q35']
        if net:
            device = 'virtio-net-device' if machine == 'microvm' else 'virtio-net-pci'
            argv += ['-netdev', f'tap,id=n,ifname={TAP},script=no,downscript=no,vhost=off', '-device',
                     f'{device},netdev=n,mac={GUEST_MAC}']
            mac = sh('ip', 'netns', 'exec', NS, 'cat', f'/sys/class/net/{TAP}/address').stdout.strip()
            append += f' hostmac={mac}'
        return [*argv, *extra, '-append', f'console=ttyS0 quiet panic=-1 tsc_early_khz={self.tsc} tsc=reliable {append}']


def permanent_neighbour(inside, mac=None):
    """Without it the first packet over TAP waits a second for ARP."""
    if mac:
        sh(*inside, 'ip', 'neigh', 'replace', GUEST_IP, 'lladdr', mac, 'dev', TAP, 'nud', 'permanent', check=False)


# --- a QEMU with more options, for `drupe` ---------------------------------------


@contextlib.contextmanager
def qemu_with(*extra):
    """An environment in which `drupe` finds a QEMU that adds these options."""
    with tempfile.TemporaryDirectory() as tmp:
        real = shutil.which('qemu-system-x86_64')
        path = os.path.join(tmp, 'qemu-system-x86_64')
        with open(path, 'w') as f:
            f.write('#!/bin/sh\nexec ' + real + ' "$@" ' + ' '.join(extra) + '\n')
        os.chmod(path, 0o755)
        yield dict(os.environ, PATH=tmp + ':' + os.environ['PATH'])


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]
