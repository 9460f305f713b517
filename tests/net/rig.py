# SPDX-License-Identifier: Apache-2.0
"""Drupe and Linux at the two ends of a path that loses, delays and damages frames (path.c):

    namespace PEER                         namespace SITE
    peer0 (TAP) 10.78.0.1, fd78::1 ==== path ==== site0 (TAP) - bridge br0 - drupe0 (TAP): Drupe, 10.78.0.2, fd78::2
                                                                10.78.0.3, fd78::3: Linux, for comparison

Both namespaces carry this process's number and go with it. Linux' side uses CUBIC, the default of Debian's kernel.
"""
import contextlib
import os
import re
import signal
import subprocess
import time

PEER4, DRUPE4, LINUX4 = '10.78.0.1', '10.78.0.2', '10.78.0.3'
PEER6, DRUPE6, LINUX6 = 'fd78::1', 'fd78::2', 'fd78::3'
DEVICE = 'drupe0'


def sh(*argv, check=True, **kw):
    return subprocess.run(list(map(str, argv)), check=check, capture_output=True, text=True, **kw)


def usable():
    """None, or why this machine cannot have such a path."""
    if os.geteuid() != 0:
        return 'needs root'
    name = f'drupe-probe-{os.getpid()}'
    r = sh('ip', 'netns', 'add', name, check=False)
    if r.returncode == 0:
        inside = ['ip', 'netns', 'exec', name]
        for argv in (['ip', 'tuntap', 'add', 'x0', 'mode', 'tap'], ['ip', 'link', 'add', 'br0', 'type', 'bridge']):
            r = sh(*inside, *argv, check=False)
            if r.returncode != 0:
                break
        sh('ip', 'netns', 'del', name, check=False)
    return None if r.returncode == 0 else 'no namespaces, TAPs or bridges here: ' + r.stderr.strip()


class Rig:
    def __init__(self, path_program):
        self.program = path_program
        self.names = {'peer': f'drupe-peer-{os.getpid()}', 'site': f'drupe-site-{os.getpid()}'}
        self.peer = ['ip', 'netns', 'exec', self.names['peer']]
        self.site = ['ip', 'netns', 'exec', self.names['site']]

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def build(self):
        for inside, name in ((self.peer, 'peer'), (self.site, 'site')):
            sh('ip', 'netns', 'add', self.names[name])
            for setting in ('ipv6.conf.default.accept_dad=0', 'ipv4.tcp_no_metrics_save=1'):
                sh(*inside, 'sysctl', '-qw', 'net.' + setting)
            sh(*inside, 'ip', 'link', 'set', 'lo', 'up')
            sh(*inside, 'ip', 'tuntap', 'add', f'{name}0', 'mode', 'tap')
        sh(*self.site, 'ip', 'tuntap', 'add', DEVICE, 'mode', 'tap', 'vnet_hdr')
        sh(*self.site, 'ip', 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
        for port in ('site0', DEVICE):
            sh(*self.site, 'ip', 'link', 'set', port, 'master', 'br0')
            sh(*self.site, 'ip', 'link', 'set', port, 'up')
        for inside, device, addresses in ((self.peer, 'peer0', (PEER4, PEER6)), (self.site, 'br0', (LINUX4, LINUX6))):
            sh(*inside, 'ip', 'addr', 'add', addresses[0] + '/24', 'dev', device)
            sh(*inside, 'ip', 'addr', 'add', addresses[1] + '/64', 'dev', device, 'nodad')
            sh(*inside, 'ip', 'link', 'set', device, 'up')
            for prefix in ('10.78.0.0/24', 'fd78::/64'):
                sh(*inside, 'ip', 'route', 'replace', prefix, 'dev', device, 'proto', 'kernel', 'congctl', 'cubic')
        self.path = subprocess.Popen([self.program, self.names['peer'] + ':peer0', self.names['site'] + ':site0'],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.set()

    def __exit__(self, *_):
        if hasattr(self, 'path'):
            self.path.stdin.close()
            try:
                self.path.wait(5)
            except subprocess.TimeoutExpired:
                self.path.kill()
                self.path.wait()
            self.path.stdout.close()
        for name in self.names.values():
            sh('ip', 'netns', 'del', name, check=False)

    def set(self, **settings):
        """What the path does from now on; returns what happened to frames since the last time, both ways added up."""
        self.path.stdin.write(' '.join(f'{k}={v}' for k, v in settings.items()) + '\n')
        line = self.path.stdout.readline()
        counts = {}
        for k, v in re.findall(r'(\w+)=(\d+)', line):
            counts[k] = counts.get(k, 0) + int(v)
        return counts

    @contextlib.contextmanager
    def process(self, argv, ready='ready', timeout=180):
        """A process that says `ready` on a line of its own, ended behind the block; `lines` collects what it says."""
        p = subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, start_new_session=True)
        try:
            said, end = [], time.monotonic() + timeout
            while True:
                line = p.stdout.readline()
                said.append(line)
                if line.strip() == ready:
                    break
                if not line or time.monotonic() > end:
                    raise RuntimeError(f'{argv}: not ready:\n' + ''.join(said))
            yield p
        finally:
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGTERM)
                try:
                    p.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(p.pid, signal.SIGKILL)
                    p.wait()
            p.stdout.close()
