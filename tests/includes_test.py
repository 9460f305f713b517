#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The include checker finds what it must find, and the tree is clean. Prints TAP."""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKER = ROOT / 'scripts' / 'check_includes.py'
CASES = [  # file, include line, must be refused
    ('kernel/net/x.c', '#include "kern/vfs.h"', True),
    ('kernel/fs/x.c', '#include "kern/socket.h"', True),
    ('kernel/mm/x.c', '#include "kern/vfs.h"', True),
    ('kernel/drivers/virtio/x.c', '#include "kern/net.h"', True),
    ('kernel/fs/x.c', '#include "../net/tcp_impl.h"', True),
    ('host/cli/x.c', '#include "kern/plat.h"', True),
    ('base/x.c', '#include "kern/types.h"', True),
    ('kernel/mm/x.c', '#include "kern/linux.h"', True),
    ('kernel/linux/x.c', '#include "kern/vfs.h"', False),
    ('kernel/net/x.c', '#include "kern/netdev.h"', False),
    ('kernel/plat/host/x.c', '#include <linux/seccomp.h>', False),
    ('kernel/plat/pc/x.c', '#include <linux/seccomp.h>', True),
    ('kernel/plat/host/x.c', '#include "kern/vfs.h"', True),
    ('host/cli/x.c', '#include "abi/control.h"', False),
    ('kernel/fs/x.c', '#include "abi/p9.h"', False),
    ('kernel/net/x.c', '#include "abi/pcap.h"', False),
    ('kernel/net/x.c', '#include "abi/p9.h"', True),
    ('kernel/fs/x.c', '#include "abi/control.h"', True),
]


def run(root):
    return subprocess.run([sys.executable, CHECKER, root], capture_output=True, text=True)


def main():
    failed = 0
    print(f'1..{len(CASES) + 1}')
    for n, (name, line, refused) in enumerate(CASES, 1):
        with tempfile.TemporaryDirectory() as tmp:
            path = pathlib.Path(tmp) / name
            path.parent.mkdir(parents=True)
            path.write_text(line + '\n')
            good = (run(tmp).returncode != 0) == refused
        failed += not good
        print(f'{"ok" if good else "not ok"} {n} - {name} with {line} is {"refused" if refused else "allowed"}')
    result = run(ROOT)
    failed += result.returncode != 0
    print(f'{"ok" if result.returncode == 0 else "not ok"} {len(CASES) + 1} - include directions of the tree')
    for line in result.stdout.splitlines():
        print('# ' + line)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
