#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The image cache: hits, changed inputs, two at once, kills in the middle, the size limit."""
import glob
import os
import random
import shutil
import subprocess
import time

from lib import CACHE, DRUPE, WORK, check, compile_c, done, drupe, environment, no_kernel, work

NO = no_kernel()
HELLO = compile_c('hello', '#include <stdio.h>\nint main(void){puts("hi");}')


def run(*args, **more):
    """`drupe run -V` up to the machine, which fails: what it said."""
    return drupe('run', '-V', '--on', 'qemu', '--net', 'none', *args, **{**NO, **more})[2]


def cached(text):
    return ', cached,' in text


def files(pattern):
    return glob.glob(os.path.join(CACHE, pattern))


check(not cached(run(HELLO)), 'the first run makes the image')
text = run(HELLO)
check(cached(text), 'the second finds it', text)
check(len(files('*.img')) == 1 and len(files('*.meta')) == 1 and not files('tmp.*'), 'one image, nothing left over')
os.utime(HELLO)
check(not cached(run(HELLO)), 'a touched program makes a new image')
check(cached(run(HELLO)) and len(files('*.img')) == 1, 'in the place of the old one')
check(not cached(run('--add', NO['DRUPE_KERNEL'], HELLO)), 'other options, another image')
check(cached(run(HELLO)), 'and the first is still there')
check(cached(run(HELLO, 'argument')), 'arguments need no other image')
shutil.copy(HELLO, WORK + '/other')
check(not cached(run(WORK + '/other')), 'the same content at another path is another program')

# Who has no home, or one that cannot be written, has a place in /tmp, but not one that somebody else has made there.
place = f'/tmp/drupe-cache-{os.geteuid()}'
if not os.path.exists(place):
    homeless = {'DRUPE_CACHE': '', 'XDG_CACHE_HOME': '/proc/cache'}
    try:
        run(HELLO, **homeless)
        check(cached(run(HELLO, **homeless)) and glob.glob(place + '/*.img'), 'without a home the cache is in /tmp')
        os.chmod(place, 0o777)
        text = run(HELLO, **homeless)
        check('no place for the image cache' in text and place in text, 'which is ours alone', text)
    finally:
        shutil.rmtree(place)
text = run(HELLO, DRUPE_CACHE='/proc/cache')
check('image cache /proc/cache' in text and 'drupe-cache' not in text, 'DRUPE_CACHE is what it says', text)
os.makedirs(WORK + '/public/cache')
for path, mode in ((WORK + '/public/cache', 0o777), (WORK + '/public', 0o777)):
    os.chmod(path, mode)
    text = run(HELLO, DRUPE_CACHE=WORK + '/public/cache')
    check('others may change' in text and not glob.glob(WORK + '/public/cache/*'), f'an image that somebody else could put there is not run: {path}', text)
    os.chmod(path, 0o755)
if os.geteuid() == 0:
    os.chown(WORK + '/public', 65534, 65534)
    check('others may change' in run(HELLO, DRUPE_CACHE=WORK + '/public/cache'), 'nor one in another user\'s directory')

# A directory: every change in it counts.
work('tree/file', 'one')
run('dir:tree', '/x')
check(cached(run('dir:tree', '/x')), 'a directory is found again')
work('tree/new', 'two')
check(not cached(run('dir:tree', '/x')), 'a new file in it is seen')
os.unlink(WORK + '/tree/file')
check(not cached(run('dir:tree', '/x')), 'a removed one, too')
os.chmod(WORK + '/tree/new', 0o600)
check(not cached(run('dir:tree', '/x')), 'a changed mode, too')

# Damage is noticed, not run.
image = max(files('*.img'), key=os.path.getmtime)
with open(image, 'r+b') as f:
    f.truncate(4096)
check(not cached(run('dir:tree', '/x')), 'an image cut short is made again')
meta = max(files('*.meta'), key=os.path.getmtime)
with open(meta, 'r+b') as f:
    f.seek(100)
    f.write(b'\xff' * 64)
check(not cached(run('dir:tree', '/x')), 'a damaged list of inputs is not believed')

# Eight at once.
shutil.rmtree(CACHE)
argv = [DRUPE, 'run', '-V', '--on', 'qemu', '--net', 'none', HELLO]
many = [subprocess.Popen(argv, env=environment(**NO), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE) for _ in range(8)]
texts = [p.communicate(timeout=60)[1].decode() for p in many]
made = sum('image: made in' in t for t in texts)
check(made == 1, 'of eight at once, one makes the image', f'{made} made it')
check(len(files('*.img')) == 1 and not files('tmp.*'), 'and nothing is left over')

# Kills in the middle.
random.seed(7)
bad = []
big = work('big/x', os.urandom(20 << 20))
for i in range(30):
    os.utime(big)
    p = subprocess.Popen([DRUPE, 'run', '--on', 'qemu', '--net', 'none', 'dir:big', '/x'], env=environment(**NO), cwd=WORK,
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.random() * 0.08)
    p.kill()
    p.wait()
    for image in files('*.img'):
        if subprocess.run(['fsck.erofs', image], capture_output=True).returncode:
            bad.append(image)
check(not bad, 'thirty kills leave no broken image in place', bad)
time.sleep(0.3)
os.utime(big)
run('dir:big', '/x')
check(not files('tmp.*'), 'the next run removes what they left', files('tmp.*'))
check(cached(run('dir:big', '/x')), 'and its image is good')

# The limit: the longest unused goes.
run(HELLO, DRUPE_CACHE_SIZE='30M')
time.sleep(0.01)
run('dir:big', '/x')
time.sleep(0.01)
work('big2/x', os.urandom(20 << 20))
run('dir:big2', '/x', DRUPE_CACHE_SIZE='30M')
total = sum(os.path.getsize(f) for f in files('*.img'))
check(total <= 30 << 20, 'the cache keeps to its limit', total)
check(cached(run('dir:big2', '/x')), 'the newest stays')

start = time.monotonic()
subprocess.run([DRUPE, 'run', '--net', 'none', '--on', 'qemu', '-V', HELLO], env=environment(**NO), capture_output=True)
print(f'# a run up to the refused kernel: {(time.monotonic() - start) * 1000:.0f} ms')
done()
