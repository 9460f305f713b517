#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a guest test on the host's Linux and inside Drupe; the lines must be the same.

    run.py DRUPE PROGRAM [--on qemu|host] [--machine TYPE] [--cpus N] [-m SIZE] [--volume]

With --volume, /tmp inside is a directory of the host's own /tmp. Prints TAP: one line for each line of the program's output.
What Linux said is kept for the other platforms of the same run of scripts/check.py, in the directory DRUPE_CHECK_KEEPS.
"""
import argparse
import difflib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 120


def run(argv):
    try:
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S)
        return r.stdout.decode(errors='replace').splitlines(), r.returncode, r.stderr.decode(errors='replace')
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b'').decode(errors='replace').splitlines(), 'timeout', (e.stderr or b'').decode(errors='replace')


def on_linux(program):
    """What the host's Linux has to say; where that can be, with a network, keys and queues of its own: others use the host's meanwhile."""
    keeps = os.environ.get('DRUPE_CHECK_KEEPS')
    kept = keeps and os.path.join(keeps, os.path.basename(program))
    alone = ['unshare', '--net', '--ipc', 'sh', '-c', 'ip link set lo up && exec "$0"']
    with open(program, 'rb') as only: # its files are everybody's: one at a time
        fcntl.flock(only, fcntl.LOCK_EX)
        if kept and os.path.exists(kept):
            with open(kept) as f:
                return json.load(f)
        lines, status, _ = run([*(alone if run([*alone, 'true'])[1] == 0 else []), program])
        if kept:
            with open(kept, 'w') as f:
                json.dump((lines, status), f)
        return lines, status


def main():
    p = argparse.ArgumentParser()
    p.add_argument('drupe')
    p.add_argument('program')
    p.add_argument('--on', default='qemu')
    p.add_argument('--machine')
    p.add_argument('--cpus', default='1')
    p.add_argument('-m', dest='memory', default='256M')
    p.add_argument('--volume', action='store_true')
    a = p.parse_args()
    want, want_status = on_linux(a.program)
    machine = ['--machine', a.machine] if a.machine else []
    program = a.program
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory(dir='/var/tmp') as elsewhere:
        volume = ['-v', directory + ':/tmp'] if a.volume else []
        if a.volume: # which would hide a program that was built below /tmp
            program = shutil.copy(program, elsewhere)
        got, status, err = run([a.drupe, 'run', '--on', a.on, *machine, *volume, '--cpus', a.cpus, '-m', a.memory, program])
    n = failed = 0
    section = ''

    def tap(good, text):
        nonlocal n, failed
        n += 1
        failed += not good
        print(f'{"ok" if good else "not ok"} {n} - {text}')

    for op, i1, i2, j1, j2 in difflib.SequenceMatcher(None, want, got, autojunk=False).get_opcodes():
        if op == 'equal':
            for line in want[i1:i2]:
                section = line[4:] if line.startswith('--- ') else section
                tap(True, f'{section}: {line}')
        else:
            for k in range(max(i2 - i1, j2 - j1)):
                w = want[i1 + k] if i1 + k < i2 else '(nothing)'
                g = got[j1 + k] if j1 + k < j2 else '(nothing)'
                tap(False, f'{section}: Linux has {w!r}, Drupe {g!r}')
    tap(status == want_status, f'exit status {want_status}' + ('' if status == want_status else f', Drupe has {status}'))
    if failed:
        for line in err.splitlines()[-15:]:
            print('# ' + line)
    print(f'1..{n}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
