# SPDX-License-Identifier: Apache-2.0
"""What the application tests share: TAP output, running drupe, waiting for a port."""
import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from beside import free_port, until

DRUPE, BUILD = sys.argv[1], sys.argv[2]
ON = sys.argv[3:] or ['--on', 'qemu']
# What the platform has of machines: a name, and the options that choose it.
MACHINES = [('a process', [])] if ON[1] == 'host' else [(m, ['--machine', m]) for m in ('microvm', 'q35')]
# By then a test of `make soak` has said what it knows; tests/meson.build leaves it an hour more.
END = time.monotonic() + 7 * 3600
_count = _failed = 0


def check(good, text, detail=''):
    """One TAP line."""
    global _count, _failed
    _count += 1
    _failed += not good
    print(f'{"ok" if good else "not ok"} {_count} - {text}', flush=True)
    if not good and detail:
        for line in str(detail).splitlines()[-20:]:
            print('#   ' + line)


def same(got, want, text):
    check(got == want, text, f'wanted {want!r}\ngot    {got!r}')


def done():
    print(f'1..{_count}')
    sys.exit(1 if _failed else 0)


def drupe(*args, stdin=b'', timeout=120):
    """Run `drupe run ARGS` to its end: (status, stdout, stderr)."""
    argv = [DRUPE, 'run', *ON, *map(str, args)]
    try:
        r = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout)
        return r.returncode, r.stdout, r.stderr.decode(errors='replace')
    except subprocess.TimeoutExpired as e:
        return 'timeout', e.stdout or b'', (e.stderr or b'').decode(errors='replace')


def own_list(name):
    """A directory that lasts as long as what is returned; from now on instances are listed there, where no others are. Those that are left at
    the test's end, wherever it comes to that, are ended."""
    work = tempfile.TemporaryDirectory(prefix=f'drupe-test-{name}-')
    os.environ['DRUPE_RUN'] = work.name + '/run'
    atexit.register(lambda: [command('rm', '-f', json.loads(l)['ID']) for l in command('ps', '-a', '--format', 'json')[1].splitlines()])
    return work


def command(*args, timeout=120, **more):
    """Run `drupe ARGS` to its end: (status, stdout, stderr)."""
    r = subprocess.run([DRUPE, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, **more)
    return r.returncode, r.stdout.decode(errors='replace'), r.stderr.decode(errors='replace')


@contextlib.contextmanager
def server(*args, ready, timeout=180):
    """A running `drupe run ARGS`; ready() is polled until it stops raising OSError, or what says that its own time was over."""
    p = subprocess.Popen([DRUPE, 'run', *ON, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + timeout
        while True:
            try:
                ready()
                break
            except (OSError, subprocess.TimeoutExpired):
                if p.poll() is not None or time.monotonic() > end:
                    p.kill()
                    raise RuntimeError('server did not come up:\n' + p.stdout.read().decode(errors='replace'))
                time.sleep(0.05)
        yield p
    finally:
        if p.poll() is None:
            p.kill()
        p.wait()
        p.stdout.close()


def processes_of(p):
    """The processes of the host that the instance of this `drupe run` has, the first one first."""
    def children(pid):
        with open(f'/proc/{pid}/task/{pid}/children') as f:
            return [int(c) for c in f.read().split()]
    first = [c for c in children(p.pid) if 'drupe-kernel' in open(f'/proc/{c}/comm').read()]
    return first + [c for f in first for c in children(f)]


def stop(p, sig=signal.SIGINT, timeout=60):
    """Ask it to stop; its exit status, or 'timeout'."""
    p.send_signal(sig)
    try:
        return p.wait(timeout)
    except subprocess.TimeoutExpired:
        return 'timeout'


def talk(port, data, mark=b'\n', timeout=30):
    """Send bytes to a TCP port and read until the end mark."""
    with socket.create_connection(('127.0.0.1', port), timeout) as s:
        s.sendall(data)
        got = b''
        while mark not in got:
            part = s.recv(65536)
            if not part and not got: # as long as the machine boots, the port accepts and hangs up
                raise ConnectionResetError('closed without an answer')
            if not part:
                break
            got += part
        return got


def redis(name, *options):
    """A detached redis-server, seen to answer at this port."""
    port = free_port()
    status, out, err = command('run', *ON, '-d', '--name', name, '-p', f'127.0.0.1:{port}:6379', *options, 'redis-server', '--save', '', '--protected-mode', 'no')
    check(status == 0 and len(out.strip()) == 64, 'run -d', (status, out, err))
    same(until(lambda: talk(port, b'PING\r\n')), b'+PONG\r\n', 'it answers')
    return port


def counters(name):
    """{(name, labels): value} of an instance."""
    rows = json.loads(command('stats', '--format', 'json', name)[1])['Metrics']
    return {(r['name'], *sorted(r['labels'].values())): r['value'] for r in rows}


def calls(name, call):
    """How often it has made this system call."""
    return counters(name).get(('syscalls_total', call), 0)


def polls(p, fds):
    """This process waits in poll() for so many descriptors."""
    with open(f'/proc/{p.pid}/syscall') as f:
        words = f.read().split()
    return words[0] == '7' and int(words[2], 16) == fds


def tap_network(*addresses, mode='tap'):
    """The rest of the test is run in a network namespace of its own, with a device tap0 and these addresses (as `ip addr add` takes them), or
    is skipped."""
    if 'inside' not in os.environ:
        prefix = ['unshare', '-n'] if os.geteuid() == 0 else []
        sys.exit(subprocess.run([*prefix, sys.executable, *sys.argv], env={**os.environ, 'inside': '1'}).returncode)
    for what in ('link set lo up', f'tuntap add tap0 mode {mode}', *(f'addr add {a}' for a in addresses), 'link set tap0 up'):
        r = subprocess.run(['ip', *what.split()], capture_output=True, text=True)
        if r.returncode != 0:
            check(True, f'no namespace with a TAP here: {r.stderr.strip()} # SKIP')
            done()


def host_command(*argv, timeout=120, **kw):
    r = subprocess.run(argv, capture_output=True, timeout=timeout, **kw)
    return r.returncode, r.stdout.decode(errors='replace') + r.stderr.decode(errors='replace')


def bounded_command(*argv, seconds, **kw):
    """The same, ended by force when its time is over: ('timeout', what it had said)."""
    try:
        return host_command('timeout', '-k', '5', str(seconds), *argv, timeout=seconds + 20, **kw)
    except subprocess.TimeoutExpired as e: # what it started has left its group and lives on
        return 'timeout', (e.stdout or b'').decode(errors='replace') + (e.stderr or b'').decode(errors='replace')


def time_left(seconds):
    """Of so many, those before END; 0: too few."""
    left = int(min(seconds, END - time.monotonic()))
    return left if left >= 60 else 0


def build_file(name):
    return os.path.join(BUILD, name)
