#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""User networking over both families: published ports, every byte compared (pattern.c): published.py DRUPE BUILD --on WHERE"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'apps'))
from lib import build_file, check, done, drupe, free_port, host_command, server  # noqa: E402

PATTERN = build_file('pattern')


def ready(port):
    def probe():
        status, out = host_command(PATTERN, 'up', '::1', str(port), '1', '10')
        if status != 0:
            raise OSError(out)
    return probe


def main():
    v4, v6, shown = free_port(), free_port(), ('cat', '/proc/net/if_inet6')
    with server('-p', f'127.0.0.1:{v4}:7001', '-p', f'[::1]:{v6}:7001', PATTERN, 'serve', '7001', ready=ready(v6)) as p:
        for address, port in (('127.0.0.1', v4), ('::1', v6)):
            for way in ('up', 'down'):
                status, out = host_command(PATTERN, way, address, str(port), '2', '3000000')
                check(status == 0, f'published on {address}: {way}', f'{out}drupe: {p.poll() or "runs"}')
    status, out, err = drupe(*shown)
    check(status == 0 and b'fe800000000000000' not in out and b' lo' in out, 'a card that nobody needs stays shut', out + err.encode())
    status, _, err = drupe('-p', '[::1:80:80', 'true')
    check(status == 125 and '-p [::1:80:80: say' in err, 'an address without its bracket is refused', err)
    done()


main()
