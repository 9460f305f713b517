# SPDX-License-Identifier: Apache-2.0
"""Processes, threads and switches between them (`micro processes`): the section processes of bench.py. Beside the Linux guest under the same QEMU
in time and in guest instructions, and as a process beside the native one.

A busy machine disturbs little: machines run in turn with the highest priority (nice) that there is, processes on one CPU with a real-time one. Guest
instructions are the same from run to run.
"""
import os
import subprocess
import tempfile

import guests
from common import DRUPE, FIRST, MICRO, PLUGIN, parse_micro, row, symbol

ROUNDS = 2
PROGRAM = [MICRO, 'processes']
ADD = ['--add', '/bin/true']

# What each row may take, times the Linux guest, and times the native process.
GUEST_LIMITS = {'vfork+exec+exit+wait, /bin/true': 0.7, 'fork+exit+wait, 64 MiB': 0.7}
HOST_LIMITS = {'vfork+exec+exit+wait, /bin/true': 3.0, 'fork+exit+wait, 64 MiB': 3.0}


def _output(argv, env=None):
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', env=env, timeout=600)
    found = parse_micro(r.stdout)
    if not found or '\nend 0' not in r.stdout:
        raise RuntimeError(f'{argv}: status {r.returncode}\n{r.stdout}{r.stderr}')
    return found


def _best(runs):
    """Of several programs in turn: the best of each row."""
    best = [{} for _ in runs]
    for _ in range(ROUNDS):
        for rows, run in zip(best, runs):
            for k, v in run().items():
                rows[k] = min(v, rows.get(k, v))
    return best


def _rows(ours, theirs, name, limits, otherwise):
    for k, v in theirs.items():
        ratio, limit = ours[k] / v, limits.get(k, otherwise)
        row(f'  {k}', f'{ours[k]:,.0f}', f'{name} {v:,.0f}', f'ratio {ratio:.2f}, at most {limit}', ratio <= limit)


def _counting(out):
    """QEMU's options to count instructions at each lap() of the program; the virtual clock makes a nanosecond of each."""
    return ['-plugin', f'{PLUGIN},out={out},lap={symbol(MICRO, "lap"):#x}', '-icount', 'shift=0,sleep=off', '-seed', '1']


def _instructions(out, calls):
    """For each call of each row. What executed something at that address before the program did comes first and is left out."""
    with open(out) as f:
        laps = [int(line.split()[1]) for line in f if line.startswith('lap ')][-2 * len(calls):]
    return {k: (after - before) / n for (k, n), before, after in zip(calls.items(), laps[::2], laps[1::2], strict=True)}


def _drupe_instructions(tmp):
    out = os.path.join(tmp, 'drupe.count')
    with guests.qemu_with(*_counting(out)) as env:
        return _instructions(out, _output([DRUPE, 'run', '--on', 'qemu', *ADD, *PROGRAM, 'count'], env))


def _linux_instructions(tmp, linux, image):
    out = os.path.join(tmp, 'linux.count')
    linux.tsc = 1_000_000  # what the virtual clock makes of it
    return _instructions(out, _output(linux.argv(image, extra=_counting(out), append='-- processes count')))


def in_machine():
    print(f'\nProcesses and threads in a machine with one CPU, ns (best of {ROUNDS} runs in turn), Linux as guest of the same QEMU')
    with tempfile.TemporaryDirectory() as tmp:
        linux = guests.LinuxGuest(tmp)
        image = linux.initramfs('micro', init_program=MICRO, programs=[ADD[1]])
        _rows(*_best((lambda: _output([*FIRST, DRUPE, 'run', '--on', 'qemu', *ADD, *PROGRAM]), lambda: _output([*FIRST, *linux.argv(image, append='-- processes')]))),
              'Linux', GUEST_LIMITS, 0.5)
        print('the same, guest instructions')
        _rows(_drupe_instructions(tmp), _linux_instructions(tmp, linux, image), 'Linux', GUEST_LIMITS, 0.5)


def as_process():
    print(f'\nProcesses and threads as a process of the host, ns (best of {ROUNDS} runs in turn; on one CPU, SCHED_FIFO)')
    alone = ['chrt', '-f', '1', 'taskset', '-c', '0']
    _rows(*_best((lambda: _output([*alone, DRUPE, 'run', '--on', 'host', *ADD, *PROGRAM]), lambda: _output([*alone, *PROGRAM]))),
          'native', HOST_LIMITS, 1.5)


SECTIONS = {'processes': in_machine, 'host-processes': as_process}
