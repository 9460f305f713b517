# SPDX-License-Identifier: Apache-2.0
"""A volume (-v) beside the same directory on the host itself: the section volumes of bench.py."""
import os
import statistics
import subprocess
import tempfile

from common import BUILD, DRUPE, parse_micro, row

PROGRAM = os.path.join(BUILD, 'bench', 'volume')


def rows(argv):
    runs = []
    for _ in range(3):
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if r.returncode != 0:
            raise RuntimeError(f'{argv}: status {r.returncode}\n{r.stderr}')
        runs.append(parse_micro(r.stdout))
    return {k: statistics.median(run[k] for run in runs) for k in runs[0]}


def volumes():
    print('\n500 files of one byte and one of 64 MiB on a volume, us for each file and each MiB (median of three runs)')
    with tempfile.TemporaryDirectory(dir=BUILD) as source:
        native = rows([PROGRAM, source])
        drupe = {on: rows([DRUPE, 'run', '--on', on, '--net', 'none', '-v', f'{source}:/v', PROGRAM, '/v']) for on in ('host', 'qemu')}
    for k, ns in native.items():
        row(f'  {k}', f'{drupe["host"][k] / 1000:,.1f}', f'on qemu {drupe["qemu"][k] / 1000:,.1f}, native {ns / 1000:,.1f}',
            f'ratio {drupe["host"][k] / ns:.1f}, on qemu {drupe["qemu"][k] / ns:.1f}')


SECTIONS = {'volumes': volumes}
