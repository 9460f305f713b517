# SPDX-License-Identifier: Apache-2.0
"""For tests that run beside others on a busy machine: conditions instead of times, ports of one's own."""
import random
import socket
import time

_kept = []


def until(good, seconds=60):
    """good()'s first true answer, or its last; OSError is none yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = good()
        except OSError:
            answer = None
        if answer or time.monotonic() > end:
            return answer
        time.sleep(0.02)


def free_port():
    """One that no other test takes as long as this one runs, nor Linux for a connection of somebody's: it lies below those."""
    for port in random.sample(range(22000, 32000), 10000):
        mine = socket.socket(socket.AF_UNIX)
        try:
            mine.bind(f'\0drupe-test-port-{port}') # a name that goes with us
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind(('', port))
        except OSError:
            mine.close()
            continue
        _kept.append(mine)
        return port
    raise RuntimeError('no port is free')
