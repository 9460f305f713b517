# SPDX-License-Identifier: Apache-2.0
"""What benchmarks compare. Under the same QEMU:

  Drupe  `drupe run` of a Debian program
  Linux  Debian's linux-image-cloud-amd64 with an initramfs whose init is the program

and as processes of this machine:

  Drupe  `drupe run --on host`
  native the program itself, in a network namespace of its own
  runsc  the program under gVisor (ptrace), in the same

Networks are a TAP device, or a veth pair with the server behind it, in a namespace of their own; the load runs there too.
"""
import contextlib
import glob
import itertools
import json
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
TAP = 'dbench0'


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


_names = (f'drupe-bench-{os.getpid()}-{n}' for n in itertools.count())


@contextlib.contextmanager
def namespace():
    """A network namespace of its own; yields the command prefix that runs inside it, whose last word is its name."""
    name = next(_names)
    sh('ip', 'netns', 'add', name)
    try:
        inside = ['ip', 'netns', 'exec', name]
        sh(*inside, 'ip', 'link', 'set', 'lo', 'up')
        yield inside
    finally:
        sh('ip', 'netns', 'del', name, check=False)


def _with_address(prefix, device, address):
    sh(*prefix, 'ip', 'addr', 'add', address + '/24', 'dev', device)
    sh(*prefix, 'ip', 'link', 'set', device, 'up')
    # As Linux has it, whatever this machine prefers.
    sh(*prefix, 'ip', 'route', 'replace', address.rpartition('.')[0] + '.0/24', 'dev', device, 'proto', 'kernel', 'scope', 'link', 'src', address,
       'congctl', 'cubic')


@contextlib.contextmanager
def network(multi_queue=False):
    """A namespace with one TAP device; yields its prefix."""
    with namespace() as inside:
        sh(*inside, 'ip', 'tuntap', 'add', TAP, 'mode', 'tap', 'vnet_hdr', *(['multi_queue'] if multi_queue else []))
        _with_address(inside, TAP, HOST_IP)
        yield inside


@contextlib.contextmanager
def veth_network():
    """Two namespaces with a veth pair between them, GUEST_IP at the far end; yields the prefixes of the load and of the server."""
    with namespace() as inside, namespace() as peer:
        sh(*inside, 'ip', 'link', 'add', 'vbench0', 'type', 'veth', 'peer', 'name', 'vbench1', 'netns', peer[-1])
        _with_address(inside, 'vbench0', HOST_IP)
        _with_address(peer, 'vbench1', GUEST_IP)
        yield inside, peer


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
def process(argv, log, stdin=subprocess.DEVNULL, env=None):
    """A process in a group of its own, ended with everything below it."""
    with open(log, 'wb') as out:
        p = subprocess.Popen(list(map(str, argv)), stdin=stdin, stdout=out, stderr=subprocess.STDOUT, env=env,
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


# --- processes ------------------------------------------------------------------

SCRATCH = ('/run', '/tmp', '/var/log/nginx', '/var/lib/nginx')  # where servers write


def native(peer, argv):
    """The command that runs a server behind the veth pair, its files in memory as the others have them."""
    script = ''.join(f'test ! -d {d} || mount -t tmpfs none {d}; ' for d in SCRATCH) + 'exec "$@"'
    return [*peer, 'unshare', '-m', 'sh', '-c', script, 'sh', *argv]


class Bundle:
    """An OCI bundle of this machine's file system, for runsc and other runtimes."""

    def __init__(self, work, argv, netns=None):
        self.work, self.id = work, f'drupe-bench-{os.getpid()}'
        network = {'type': 'network', **({'path': f'/var/run/netns/{netns}'} if netns else {})}
        rights = ['CAP_NET_BIND_SERVICE', 'CAP_SETUID', 'CAP_SETGID', 'CAP_CHOWN', 'CAP_DAC_OVERRIDE']
        config = {
            'ociVersion': '1.0.0', 'hostname': 'bench', 'root': {'path': '/', 'readonly': True},
            'process': {'user': {'uid': 0, 'gid': 0}, 'args': list(map(str, argv)), 'cwd': '/',
                        'env': ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
                        'capabilities': {k: rights for k in ('bounding', 'effective', 'permitted')}},
            'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc'},
                       *({'destination': d, 'type': 'tmpfs', 'source': 'tmpfs'} for d in SCRATCH if os.path.isdir(d))],
            'linux': {'namespaces': [{'type': 'pid'}, {'type': 'mount'}, network]},
        }
        with open(os.path.join(work, 'config.json'), 'w') as f:
            json.dump(config, f)

    def runsc(self):
        """gVisor's own network stack works only where /proc/sys/net is hidden from it."""
        return ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc/sys/net && exec "$@"', 'sh', 'runsc', '--root',
                os.path.join(self.work, 'runsc'), '--platform=ptrace', '--network=sandbox', 'run', '-bundle', self.work, self.id]

    def runtime(self, name):
        return [name, '--root', os.path.join(self.work, name), 'run', '-b', self.work, self.id]

    def kill(self):
        sh('runsc', '--root', os.path.join(self.work, 'runsc'), 'kill', self.id, 'KILL', check=False)


def descendants(pid):
    """pid and all processes below it."""
    below = {}
    for d in glob.glob('/proc/[0-9]*'):
        try:
            with open(d + '/stat') as f:
                below.setdefault(int(f.read().rsplit(')', 1)[1].split()[1]), []).append(int(d[6:]))
        except OSError:
            pass
    found = [pid]
    for p in found:
        found += below.get(p, [])
    return found


def cpu_seconds(pid):
    """What pid and all processes below it have had."""
    ticks = 0
    for p in descendants(pid):
        with contextlib.suppress(OSError), open(f'/proc/{p}/stat') as f:
            ticks += sum(map(int, f.read().rsplit(')', 1)[1].split()[11:13]))
    return ticks / os.sysconf('SC_CLK_TCK')


def memory_kib(pids):
    """Memory that belongs to these processes: their proportional share of what they map, and instead of what they map
    of memory files all pages of those, mapped just now or not."""
    total, files = 0, {}
    for pid in pids:
        name = ''
        with open(f'/proc/{pid}/smaps') as f:
            for line in f:
                if re.match(r'[0-9a-f]+-[0-9a-f]+ ', line):
                    name = line.split(None, 5)[5] if len(line.split(None, 5)) > 5 else ''
                elif line.startswith('Pss:') and not name.startswith('/memfd:'):
                    total += int(line.split()[1])
        for fd in glob.glob(f'/proc/{pid}/fd/*'):
            with contextlib.suppress(OSError):
                if os.readlink(fd).startswith('/memfd:'):
                    st = os.stat(fd)
                    files[st.st_dev, st.st_ino] = st.st_blocks // 2
    return total + sum(files.values())


# --- Linux --------------------------------------------------------------------


class LinuxGuest:
    """An initramfs with programs and their libraries, and the QEMU that boots it."""

    def __init__(self, work, kernel='/boot/vmlinuz-*-cloud-amd64'):
        self.work = work
        self.kernel = sorted(glob.glob(kernel))[-1]
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

    def initramfs(self, name, init_program=None, programs=(), script=None, dirs=(), files=(), modules=('virtio_mmio', 'virtio_pci', 'virtio_net')):
        """init_program becomes /init itself; otherwise a busybox script loads modules, brings the network up, if it has one, and runs `script`."""
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
            self._add_program(root, '/bin/busybox')
            base = f'/lib/modules/{self.version}/kernel'
            mods = self._modules(*modules)
            for m in mods:
                self._add(root, f'{base}/{m}')
            for f in ('/etc/passwd', '/etc/group', '/etc/nsswitch.conf'):
                self._add(root, f)
            with open(root + '/init', 'w') as f:
                f.write('#!/bin/busybox sh\n/bin/busybox --install -s /bin\nmount -t devtmpfs dev /dev\n'
                        'mount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t tmpfs tmp /tmp\n'
                        + ''.join(f'insmod {base}/{m}\n' for m in mods)
                        + (f'ip link set lo up\nip addr add {GUEST_IP}/24 dev eth0\nip link set eth0 up\n'
                           f'arp -s {HOST_IP} $(tr " " "\\n" </proc/cmdline | sed -n s/hostmac=//p)\n' if 'virtio_net' in modules else '')
                        + script + '\n')
            os.chmod(root + '/init', 0o755)
        image = os.path.join(self.work, name + '.cpio')
        subprocess.run(f'cd {root} && find . | cpio -o -H newc --quiet > {image}', shell=True, check=True)
        return image

    def argv(self, initramfs, machine='microvm', memory='512M', net=None, extra=(), append=''):
        """`net` is the prefix of the network() that it is on, if it is on one."""
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
            mac = sh(*net, 'cat', f'/sys/class/net/{TAP}/address').stdout.strip()
            append += f' hostmac={mac}'
        return [*argv, *extra, '-append', f'console=ttyS0 quiet panic=-1 tsc_early_khz={self.tsc} tsc=reliable {append}']


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
