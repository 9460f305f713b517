# SPDX-License-Identifier: Apache-2.0
"""A volume (-v), the same directory on the host itself, and a Linux guest's by QEMU's virtio-9p: the section volumes of bench.py."""
import os
import statistics
import subprocess
import tempfile

import guests
from common import BUILD, DRUPE, FIRST, parse_micro

PROGRAM = os.path.join(BUILD, 'bench', 'volume')
RUNS = 3
MODULES = ('virtio_mmio', 'virtio_pci', '9pnet_virtio', '9p')


def run(argv, source):
    for name in ('cold', 'cold2'):
        with open(os.path.join(source, name), 'wb') as f:
            f.write(bytes(16 << 20))
    r = subprocess.run([*FIRST, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    rows = parse_micro(r.stdout)
    if len(rows) != 8:
        raise RuntimeError(f'{argv}: status {r.returncode}\n{r.stdout}\n{r.stderr}')
    return rows


def linux(work, source):
    """The commands of a Linux guest for each way of caching: like drupe's machine, with QEMU's server of 9P."""
    guest = guests.LinuxGuest(work, kernel='/boot/vmlinuz-*[0-9]-amd64')
    script = (f'mkdir /v\nmount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=$(sed "s/.*cache9p=//;s/ .*//" /proc/cmdline) v /v\n'
              f'{PROGRAM} /v\npoweroff -f\n')
    image = guest.initramfs('volume', programs=[PROGRAM], script=script, modules=MODULES)
    extra = ['-fsdev', f'local,id=v,path={source},security_model=passthrough,multidevs=remap', '-device', 'virtio-9p-device,fsdev=v,mount_tag=v']
    return {f'9p {c}': guest.argv(image, extra=extra, append=f'cache9p={c} ') for c in ('none', 'mmap', 'loose')}


def volumes():
    print(f'\n500 files of one byte and files of 16 MiB on a volume, us for each file and each MiB (median of {RUNS} runs, in turn)')
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory(dir=BUILD) as source:
        ways = {'native': [PROGRAM, source],
                **{f'{on} {more[-1]}'.strip(): [DRUPE, 'run', '--on', on, *more[:-1], '--net', 'none', '-v', f'{source}:/v', PROGRAM, '/v']
                   for on, more in (('host', ['']), ('qemu', ['']), ('qemu', ['--machine', 'q35', 'q35']))},
                **linux(work, source)}
        runs = {k: [] for k in ways}
        for _ in range(RUNS):
            for k, argv in ways.items():
                runs[k].append(run(argv, source))
    print(f'{"":22}' + ''.join(f'{k:>12}' for k in ways))
    for name in runs['native'][0]:
        print(f'  {name:20}' + ''.join(f'{statistics.median(r[name] for r in runs[k]) / 1000:12,.1f}' for k in ways), flush=True)


SECTIONS = {'volumes': volumes}
