#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drupe profile: shares of functions, stacks through libraries, the flame graph, and clients that are wrong or go away."""
import os
import re
import signal
import subprocess
import time
import xml.dom.minidom

from lib import BUILD, DRUPE, ON, check, done, same

spin = os.path.abspath(os.path.join(BUILD, 'spin'))
name = f'profile-{os.getpid()}'


def profile(*args, timeout=60):
    r = subprocess.run([DRUPE, 'profile', *args, name], capture_output=True, text=True, timeout=timeout)
    return r.returncode, r.stdout, r.stderr


subprocess.run([DRUPE, 'run', '-d', *ON, '--name', name, spin], check=True, capture_output=True, timeout=60)
try:
    time.sleep(1)
    status, out, err = profile('-F', '250', '-d', '4')
    rows = [(line.rsplit(' ', 1)[0].split(';'), int(line.rsplit(' ', 1)[1])) for line in out.splitlines()]
    total = sum(n for _, n in rows)

    def share(function):
        return sum(n for stack, n in rows if any(re.match(function, f) for f in stack)) / max(total, 1)

    check(status == 0 and total > 200, 'samples', (status, total, err))
    check(0.55 < share(r'hot\b') < 0.9 and 0.1 < share(r'cool\b') < 0.4, 'shares of two functions', out)
    check(share('main$') > 0.9 and share(r'_start$') > 0.9, 'stacks lead to main and _start', out)
    check(any('main' in s and 'qsort_r' in ' '.join(s) and s[-1].startswith('cool') for s, _ in rows), 'and through a library without frame pointers', out)
    check(share(r'\[truncated\]') < 0.05, 'few that cannot be followed', out)
    status, out, err = profile('-d', '1', '--svg')
    boxes = xml.dom.minidom.parseString(out).getElementsByTagName('title')
    check(status == 0 and any(b.firstChild.data.startswith('main ') for b in boxes) and 'href' not in out, 'a flame graph by itself', out[:500])
    for bad in (['-F', '0'], ['-F', '20000'], ['-d', 'x']):
        same(profile(*bad)[0], 125, 'refused: ' + ' '.join(bad))
    p = subprocess.Popen([DRUPE, 'profile', name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    status, out, err = profile('-d', '1')
    check(status == 125 and 'another client' in err, 'one at a time', err)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=20)
    check(p.returncode == 0 and 'main' in out, '^C ends it with what there is', (p.returncode, out, err))
    for _ in range(20):
        p = subprocess.Popen([DRUPE, 'profile', '-F', '999', name], stdout=subprocess.DEVNULL)
        time.sleep(0.05)
        p.kill()
        p.wait()
    for _ in range(50): # the last one's channel may still be closing
        status, out, err = profile('-d', '1')
        if status == 0:
            break
        time.sleep(0.1)
    check(status == 0 and 'main' in out, 'after twenty that were killed', (status, out, err))
finally:
    subprocess.run([DRUPE, 'rm', '-f', name], capture_output=True, timeout=60)
done()
