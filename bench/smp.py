# SPDX-License-Identifier: Apache-2.0
"""What a second CPU is worth: the same load on one and on two, in Drupe, in a Linux guest, and natively on one and on two of the host's CPUs.

Host CPUs are what all of this shares, the emulator's own threads and load generators included: only ratios of neighbouring runs mean anything, and
what the native program gains at the same moment is what can be had at all. So rounds go through all of them in turn, with the highest
priority (nice) that there is: two CPUs that have something else to do gain nobody anything.
"""
import os
import re
import shutil
import statistics
import subprocess
import tempfile

import guests
from common import BUILD, DRUPE, FIRST, row

ROUNDS = 3
OPENMP = os.path.join(BUILD, 'tests', 'openmp')
SYSBENCH = shutil.which('sysbench')
DOT_ROUNDS = '3000'


def _rate(pattern):
    return lambda out: float(re.search(pattern, out).group(1))


# name, arguments, what a run's output says (higher is better)
LOADS = (
    ('OpenMP dot product', [OPENMP, DOT_ROUNDS], lambda out: 1 / float(re.search(r'([\d.]+) s', out).group(1))),
    ('sysbench cpu', [SYSBENCH, 'cpu', '--threads=2', '--time=3', 'run'], _rate(r'events per second: +([\d.]+)')),
    ('sysbench memory', [SYSBENCH, 'memory', '--threads=2', '--time=3', 'run'], _rate(r'\(([\d.]+) per second')),
    ('sysbench threads', [SYSBENCH, 'threads', '--threads=4', '--time=3', 'run'], _rate(r'total number of events: +(\d+)')),
)


def _output(argv, env=None):
    r = subprocess.run([*FIRST, *map(str, argv)], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', timeout=300, env=env)
    return r.stdout + r.stderr


def _native(cpus, argv):
    return _output(['taskset', '-c', '0' if cpus == 1 else '0,1', *argv], dict(os.environ, OMP_NUM_THREADS=str(cpus), OMP_WAIT_POLICY='passive'))


def _drupe(on):
    return lambda cpus, argv: _output([DRUPE, 'run', '--on', on, '--cpus', cpus, '-e', 'OMP_WAIT_POLICY=passive', *argv])


def _linux_guest(tmp):
    linux = guests.LinuxGuest(tmp)

    def run(cpus, argv):
        name = os.path.basename(argv[0])
        image = os.path.join(tmp, name + '.cpio')
        if not os.path.exists(image):
            linux.initramfs(name, programs=[argv[0]], files=[f for f in ('/usr/lib/x86_64-linux-gnu/libnss_files.so.2',) if os.path.exists(f)],
                            script='export OMP_WAIT_POLICY=passive\n$(sed "s/.*load=//; s/,/ /g" /proc/cmdline)\npoweroff -f')
        return _output(linux.argv(image, extra=['-smp', str(cpus)], append='load=' + ','.join(argv)))

    return run


def smp():
    print(f'\nA second CPU: the load on two / on one (median of {ROUNDS} rounds in turn)')
    with tempfile.TemporaryDirectory() as tmp:
        where = {'a process': _drupe('host'), 'a machine': _drupe('qemu'), 'native': _native, 'Linux guest': _linux_guest(tmp)}
        for name, argv, figure in LOADS:
            gains, rates = {w: [] for w in where}, {w: [] for w in where}
            for _ in range(ROUNDS):
                for w, run in where.items():
                    one, two = (figure(run(cpus, argv)) for cpus in (1, 2))
                    gains[w].append(two / one)
                    rates[w].append(two)
            gain, rate = ({w: statistics.median(of[w]) for w in where} for of in (gains, rates))
            target = min(1.8, gain['native'])
            for w, beside in (('a process', 'native'), ('a machine', 'Linux guest')):
                row(f'  {name}, {w}', f'{gain[w]:.2f}', f'{beside} {gain[beside]:.2f}, on two {rate[w] / rate[beside]:.2f} times its rate',
                    f'at least {target:.2f}: 1.8, or the native gain', gain[w] >= target)


SECTIONS = {'smp': smp}
