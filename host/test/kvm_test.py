#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which QEMU --on kvm starts, with stand-ins for it: kvm_test.py DRUPE. What is known of /dev/kvm is a file, which says here that
it works; so the device need only be there."""
import os
import re
import shutil
import sys

from lib import WORK, check, compile_c, done, drupe, work

if not os.access('/dev/kvm', os.R_OK | os.W_OK):
    print('ok 1 - no /dev/kvm here # SKIP\n1..1')
    sys.exit()

HELLO = compile_c('hello', 'int main(void){return 0;}')
with open('/proc/sys/kernel/random/boot_id') as f:
    work('run/drupe-kvm', f.read() + 'y')
ENV = {'XDG_RUNTIME_DIR': WORK + '/run', 'DRUPE_KERNEL': work('kernel', b'x'), 'PATH': f'{WORK}/bin:{os.environ["PATH"]}'}
os.makedirs(WORK + '/bin')
FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fake_qemu.py')


def started(*options):
    """The QEMU of a run, and its arguments."""
    status, out, err = drupe('run', '-V', *options, HELLO, 'exit3', **ENV)
    found = re.search(r'^drupe: machine: (\S+) (.*)$', err, re.M)
    return (found[1], found[2], status) if found else (None, err, status)


def stand_in(name):
    shutil.copy(FAKE, f'{WORK}/bin/{name}')


stand_in('qemu-system-x86_64')
stand_in('qemu-system-x86_64-microvm')
for options in (['--on', 'kvm'], []):
    name, args, status = started(*options)
    check(name == 'qemu-system-x86_64-microvm' and status == 3, f'{options or "auto"}: the one of microvm alone, where it is', (name, args))
    check('isa-debug-exit' not in args and 'drupe.exit' not in args, 'which has no isa-debug-exit', args)
name, args, status = started('--on', 'kvm', '--machine', 'q35')
check(name == 'qemu-system-x86_64' and status == 3 and 'isa-debug-exit' in args, 'not for q35', (name, args))
name, args, status = started('--on', 'qemu')
check(name == 'qemu-system-x86_64' and status == 3, 'not for emulation', (name, args))
work('bin/qemu-system-x86_64-microvm', f'''#!{sys.executable}
import os, threading
try:
    os.fork()
except PermissionError:
    threading.Thread(target=lambda: open('{WORK}/refused', 'w')).start()
''', 0o755)
started('--on', 'kvm')
check(os.path.exists(WORK + '/refused'), 'it cannot fork, but have threads')
os.unlink(WORK + '/bin/qemu-system-x86_64-microvm')
ENV['PATH'] = f'{WORK}/bin:{WORK}/tools'
os.makedirs(WORK + '/tools')
os.symlink(sys.executable, f'{WORK}/tools/python3')
for tool in ('mkfs.erofs', 'env'):
    os.symlink(shutil.which(tool), f'{WORK}/tools/{tool}')
name, args, status = started('--on', 'kvm')
check(name == 'qemu-system-x86_64' and status == 3 and 'isa-debug-exit' in args, 'else the whole QEMU', (name, args))
done()
