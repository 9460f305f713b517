#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drupe against Debian's cloud kernel as guest, and against the native process and gVisor on the host, side by
side in one run.

    bench.py BUILD [SECTION...]         all, without one; a name that there is not is answered with those that there are

Prints each figure with its target and ratio; medians of several runs, with the highest priority (nice)
that there is. Nothing else should run on the machine meanwhile. Needs root (TAP, namespaces).
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'scripts'))
import bulk
import guests
import host
import load
import postgres
import processes
import servers
import smp
import tracing
import trimmed
import volumes
from common import BUILD, DRUPE, HELLO, MICRO, NGINX, PLUGIN, REDIS, first_line_ms, parse_micro, row, run_drupe, symbol
from guests import sh

FLOOR = os.path.join(BUILD, 'bench', 'floor-kernel')


def kernel():
    return os.path.join(BUILD, 'kernel/plat/pc/drupe-kernel')


# --- boot: guest instructions ----------------------------------------------------


def boot_instructions(memory, machine='microvm', program=HELLO):
    entry = symbol(kernel(), 'pvh_start') & 0x7fffffff  # linked in the top 2 GiB, entered by its physical address
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, 'count')
        plugin = f'{PLUGIN},out={out},start={entry:#x},mark={symbol(kernel(), "stream_write"):#x}'
        # -icount makes the count the same from run to run
        with guests.qemu_with('-plugin', plugin, '-icount', 'shift=0,sleep=off', '-rtc',
                              'base=2024-01-01,clock=vm', '-seed', '1') as env:
            r, _ = run_drupe('--on', 'qemu', '--machine', machine, '-m', memory, program, env=env)
        assert r.stdout.startswith(b'hello'), (r.stdout, r.stderr)
        with open(out) as f:
            return dict((k, int(v)) for k, v in (l.split() for l in f))['doorbell']


def boot():
    print('\nGuest instructions, kernel entry to the stdout doorbell of a dynamically linked hello')
    run_drupe(HELLO)
    figures = {m: boot_instructions(m) for m in ('64M', '512M', '4096M')}
    for m, n in figures.items():
        row(f'  -m {m}, microvm', f'{n:,}', 'instructions', 'at most 3,000,000', n <= 3_000_000)
    spread = max(figures.values()) / min(figures.values()) - 1
    row('  spread over memory sizes', f'{spread * 100:.2f}', '%', 'at most 5 %', spread <= 0.05)
    n = boot_instructions('512M', 'q35')
    row('  -m 512M, q35', f'{n:,}', 'instructions')
    size = os.path.getsize(kernel() + '.stripped')
    row('Kernel, stripped', f'{size:,}', 'bytes', 'with all features')
    size = os.path.getsize(trimmed.build(BUILD))
    row('  trimmed: -Dwithout= all that it knows', f'{size:,}', 'bytes', 'at most 409,600', size <= 400 * 1024)


# --- start: wall time -------------------------------------------------------------


def floor_argv():
    """QEMU as drupe starts it, with a kernel that only says hello."""
    return ['qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-machine',
            'microvm,acpi=off,x-option-roms=off,isa-serial=on', '-accel', 'tcg', '-cpu', 'max', '-m', '512M', '-kernel',
            FLOOR, '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4']


STAGES = ('machine:', 'kernel ', 'the program starts', 'hello')


def stages_ms():
    """Times of the lines in STAGES; -V makes the run some milliseconds longer."""
    start, at = time.perf_counter(), []
    p = subprocess.Popen([DRUPE, 'run', '-V', '--on', 'qemu', HELLO], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, bufsize=0)
    for line in p.stdout:
        if len(at) < len(STAGES) and line.removeprefix(b'drupe: ').startswith(STAGES[len(at)].encode()):
            at.append((time.perf_counter() - start) * 1000)
    p.wait(30)
    assert len(at) == len(STAGES), at
    return at


def stages():
    runs = [stages_ms() for _ in range(11)]
    least = statistics.median(first_line_ms(floor_argv()) for _ in range(11))
    at = [0] + [statistics.median(r[i] for r in runs) for i in range(len(STAGES))]
    row('  QEMU with a kernel that only says hello', f'{least:.1f}', 'ms')
    for name, a, b in zip(("drupe's part", 'QEMU, and the kernel up to its devices', 'root, files, loading of the program',
                           'the program, up to its first line'), at, at[1:]):
        row(f'    with -V: {name}', f'{b - a:.1f}', 'ms')


def start():
    print('\nStart of hello, exec to first line (median of 11; QEMU included)')
    run_drupe(HELLO)
    stages()
    for machine in ('microvm', 'q35'):
        ms = statistics.median(first_line_ms([DRUPE, 'run', '--on', 'qemu', '--machine', machine, HELLO]) for _ in range(11))
        if machine == 'microvm':
            row(f'  drupe run, {machine}', f'{ms:.1f}', 'ms', 'at most 60', ms <= 60)
            best = ms
        else:
            row(f'  drupe run, {machine}', f'{ms:.1f}', 'ms')
    empty = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as tmp:
            env = dict(os.environ, DRUPE_CACHE=tmp, XDG_CACHE_HOME=tmp)
            empty.append(first_line_ms([DRUPE, 'run', '--on', 'qemu', HELLO], env))
    ms = statistics.median(empty)
    row('  drupe run, empty cache', f'{ms:.1f}', 'ms', 'at most 500', ms <= 500)
    with tempfile.TemporaryDirectory() as tmp:
        linux = guests.LinuxGuest(tmp)
        image = linux.initramfs('hello', init_program=MICRO.replace('micro', 'hello-init'))
        ms = statistics.median(first_line_ms(linux.argv(image)) for _ in range(5))
        # The target's machine booted the Linux guest in 1193 ms: the same for a machine of any speed.
        row('  Linux guest, microvm', f'{ms:.1f}', 'ms', f'{ms / best:.1f} times Drupe; at least {1193 / 60:.1f}', ms / best >= 1193 / 60)


# --- memory ------------------------------------------------------------------------


def smallest(what, works, tries):
    best = None
    for m in tries:
        if not works(m):
            break
        best = m
    return best


def serves(argv, port, request, want):
    def works(m):
        host = guests.free_port()
        with tempfile.NamedTemporaryFile() as log, guests.process(
                [DRUPE, 'run', '--on', 'qemu', '-m', f'{m}M', '-p', f'{host}:{port}', *argv], log.name) as p:
            import socket
            end = time.monotonic() + 15
            while time.monotonic() < end and p.poll() is None:
                try:
                    with socket.create_connection(('127.0.0.1', host), 2) as s:
                        s.settimeout(3)
                        s.sendall(request)
                        if want in s.recv(4096):
                            return True
                except OSError:
                    pass
                time.sleep(0.1)
            return False
    return works


def memory():
    print('\nSmallest -m that works')
    def hello(m):
        try:
            return run_drupe('--on', 'qemu', '-m', f'{m}M', HELLO, timeout=20)[0].stdout == b'hello, world\n'
        except subprocess.TimeoutExpired:
            return False
    for name, works, target in (('hello', hello, 6),
                                ('redis-server', serves(REDIS, 6379, b'PING\r\n', b'PONG'), 14),
                                ('nginx', serves(NGINX, 80, b'GET / HTTP/1.0\r\n\r\n', b'200 OK'), 12)):
        m = smallest(name, works, range(target + 6, 2, -1))
        row(f'  {name}', str(m), 'MiB', f'at most {target}', m is not None and m <= target)


# --- system calls ----------------------------------------------------------------


# What each row may take, times the Linux guest.
CALL_LIMITS = {'clock_gettime': 1.0, 'vfork+exec+exit+wait': 0.7, 'fork+exit+wait, 64 MiB': 0.7}


def calls():
    print('\nSystem calls, ns (best of three runs each, same QEMU, one vCPU)')
    drupe, linux_rows = {}, {}
    with tempfile.TemporaryDirectory() as tmp:
        linux = guests.LinuxGuest(tmp)
        image = linux.initramfs('micro', init_program=MICRO)
        for _ in range(3):
            r, _ = run_drupe('--on', 'qemu', MICRO)
            for k, v in parse_micro(r.stdout.decode()).items():
                drupe[k] = min(v, drupe.get(k, v))
            r = subprocess.run(linux.argv(image), stdin=subprocess.DEVNULL, capture_output=True, timeout=180)
            for k, v in parse_micro(r.stdout.decode(errors='replace')).items():
                linux_rows[k] = min(v, linux_rows.get(k, v))
    for k, v in linux_rows.items():
        ratio = drupe.get(k, 0) / v if v else 0
        limit = CALL_LIMITS.get(k, 0.5)
        row(f'  {k}', f'{drupe.get(k, 0):,}', f'Linux {v:,}', f'ratio {ratio:.2f}, at most {limit}', k in drupe and ratio <= limit)


SECTIONS = {f.__name__: f for f in (boot, start, memory, calls)}
for part in (servers, postgres, processes, bulk, load, host, tracing, smp, volumes):
    SECTIONS |= part.SECTIONS


def main():
    wanted = sys.argv[2:]
    os.setpriority(os.PRIO_PROCESS, 0, -20)  # before what else there is to do
    print(f'Drupe benchmarks, {time.strftime("%Y-%m-%d")}, {sh("qemu-system-x86_64", "--version").stdout.splitlines()[0]}, '
          f'{os.cpu_count()} CPUs')
    for name in wanted:
        if name not in SECTIONS:
            sys.exit(f'bench.py: no section "{name}"; there are: {" ".join(SECTIONS)}')
    for name, section in SECTIONS.items():
        if not wanted or name in wanted:
            section()


if __name__ == '__main__':
    main()
