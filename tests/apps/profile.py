#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drupe profile: shares of functions, stacks through libraries, the flame graph, pprof, sleeps, and clients that are wrong or go away."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import xml.dom.minidom

from lib import BUILD, DRUPE, ON, calls, check, done, polls, same, until

spin = os.path.abspath(os.path.join(BUILD, 'spin'))
name = f'profile-{os.getpid()}'


def profile(*args, of=name, timeout=120):
    r = subprocess.run([DRUPE, 'profile', *args, of], capture_output=True, text=True, timeout=timeout)
    return r.returncode, r.stdout, r.stderr


def folded(out):
    return [(line.rsplit(' ', 1)[0].split(';'), int(line.rsplit(' ', 1)[1])) for line in out.splitlines()]


def share_of(rows, function):
    return sum(n for stack, n in rows if any(re.match(function, f) for f in stack)) / max(sum(n for _, n in rows), 1)


def pprof(of, *args):
    """What Go's pprof makes of it: lines of functions with their flat and cumulated percentages."""
    with tempfile.NamedTemporaryFile(suffix='.pb.gz') as f:
        r = subprocess.run([DRUPE, 'profile', *args, '--format', 'pprof', of], stdout=f, stderr=subprocess.PIPE, timeout=60)
        if r.returncode:
            return r.stderr.decode()
        go = subprocess.run(['go', 'tool', 'pprof', '-top', '-nodecount=50', f.name], capture_output=True, text=True, timeout=60)
        return go.stdout + go.stderr


subprocess.run([DRUPE, 'run', '-d', *ON, '--name', name, spin], check=True, capture_output=True, timeout=60)
try:
    until(lambda: calls(name, 'getppid') > 0)
    for seconds in ('2', '8', '30'): # what a busy machine gives an emulated CPU
        status, out, err = profile('-F', '500', '-d', seconds)
        rows = folded(out)
        total = sum(n for _, n in rows)
        if total > 200:
            break

    def share(function):
        return share_of(rows, function)

    check(status == 0 and total > 200, 'samples', (status, total, err))
    check(0.55 < share(r'hot\b') < 0.9 and 0.1 < share(r'cool\b') < 0.4, 'shares of two functions', out)
    check(share('main$') > 0.9 and share(r'_start$') > 0.9, 'stacks lead to main and _start', out)
    check(any('main' in s and 'qsort_r' in ' '.join(s) and s[-1].startswith('cool') for s, _ in rows), 'and through a library without frame pointers', out)
    check(share(r'\[truncated\]') < 0.05, 'few that cannot be followed', out)
    status, out, err = profile('-d', '1', '--svg')
    boxes = xml.dom.minidom.parseString(out).getElementsByTagName('title')
    check(status == 0 and any(b.firstChild.data.startswith('main ') for b in boxes) and 'href' not in out, 'a flame graph by itself', out[:500])
    top = pprof(name, '-d', '1') if shutil.which('go') else None
    if top is not None:
        hot = re.search(r'([\d.]+)% +\S+ +[\d.]+% +hot$', top, re.M)
        check(hot and 50 < float(hot[1]) < 95 and 'Type: cpu' in top, "pprof's own words", top)
    for bad in (['--format', 'x'], ['-F', '0'], ['-F', '20000'], ['-d', 'x']):
        same(profile(*bad)[0], 125, 'refused: ' + ' '.join(bad))
    p = subprocess.Popen([DRUPE, 'profile', name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: polls(p, 1))
    status, out, err = profile('-d', '1')
    check(status == 125 and 'another client' in err, 'one at a time', err)
    p.send_signal(signal.SIGINT)
    same((p.wait(120), p.communicate()[1]), (0, ''), '^C ends it')

    def interrupted():
        """What there is then; on a busy machine it may be nothing yet."""
        p = subprocess.Popen([DRUPE, 'profile', name], stdout=subprocess.PIPE, text=True)
        until(lambda: polls(p, 1))
        time.sleep(0.1)
        p.send_signal(signal.SIGINT)
        return p.communicate(timeout=120)[0]

    check('main' in until(interrupted), 'with what there is')
    for _ in range(20):
        p = subprocess.Popen([DRUPE, 'profile', '-F', '999', name], stdout=subprocess.DEVNULL)
        time.sleep(0.05)
        p.kill()
        p.wait()
    status, out, err = profile('-d', '1')
    check(status == 0 and 'main' in out, 'after twenty that were killed', (status, out, err))
    naps = name + '-naps'
    subprocess.run([DRUPE, 'run', '-d', *ON, '--name', naps, os.path.abspath(os.path.join(BUILD, 'naps'))], check=True, capture_output=True, timeout=60)
    until(lambda: calls(naps, 'clock_nanosleep') > 0)
    begin = time.monotonic()
    status, out, err = profile('-F', '50', '-d', '3', '--off-cpu', of=naps)
    took = 1e6 * (time.monotonic() - begin)
    rows = folded(out)
    ended = [r for r in rows if 'main' in r[0]]
    check(status == 0 and 2.2e6 < sum(n for _, n in ended) < took, 'off the CPU: the time of three seconds, in microseconds', (status, out, err))
    check(0.5 < share_of(ended, 'long_nap') < 0.93 and 0.07 < share_of(ended, 'short_nap') < 0.5, 'shares of long and short sleeps', out)
    check(2.4e6 < sum(n for s, n in rows if 'wait_for_ever' in s) < took, 'and one that never woke', out)
    check(all(s[-1].endswith('_[k]') for s, _ in rows) and share_of(ended, r'.*nanosleep.*_\[k\]') > 0.9, "kernel's frames on top", out)
    status, out, err = profile('-d', '1', '--off-cpu', '--svg', of=naps)
    check(status == 0 and re.search(r'long_nap \(\d+ us', out), 'drawn', out[:500])
    if top is not None:
        top = pprof(naps, '-d', '1', '--off-cpu')
        check('Type: off_cpu' in top and 'long_nap' in top, 'for pprof', top)
finally:
    subprocess.run([DRUPE, 'rm', '-f', name + '-naps'], capture_output=True, timeout=60)
    subprocess.run([DRUPE, 'rm', '-f', name], capture_output=True, timeout=60)
done()
