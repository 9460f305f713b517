#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs of every linkage, standard streams, images, and the errors a person meets."""
import os
import subprocess
import tempfile
import time

from lib import DRUPE, MACHINES, ON, build_file, check, done, drupe, host_command, same

for name in ('hello', 'hello-static', 'hello-static-pie'):
    for machine, options in MACHINES:
        status, out, err = drupe(*options, build_file(name))
        same((status, out), (0, b'hello, world\n'), f'{name} on {machine}')

status, out, err = drupe('/bin/ls', '-l', '/')
same(status, 0, 'ls -l / ends well')
check(b' proc\n' in out and b' etc\n' in out and b' dev\n' in out, 'ls -l / shows a root file system', out)

same(drupe('/bin/sh', '-c', 'exit 3')[0], 3, 'sh -c "exit 3"')
same(drupe('/bin/cat', stdin=b'through\0the\xffmachine\n')[1], b'through\0the\xffmachine\n', 'cat passes bytes through')
big = os.urandom(3 << 20)
same(drupe('/bin/cat', stdin=big)[1] == big, True, 'cat passes 3 MiB through')
status, out, err = drupe('/bin/sh', '-c', 'echo out; echo err >&2')
same((out, 'err' in err), (b'out\n', True), 'stdout and stderr are apart')
p = subprocess.Popen([DRUPE, 'run', *ON, '/bin/sh', '-c', 'echo all; exec >&-; read line; exit 4'], stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
same(p.stdout.read(), b'all\n', 'a program that closes its output ends it while it runs')
same((p.poll(), p.communicate(b'go\n', 120)[0], p.returncode), (None, b'', 4), 'and goes on')
# Who waits for room is told of it while another process computes and nothing else happens.
p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', '/bin/bash', '-c', 'while :; do :; done & for ((i = 0; i < 6000; i++)); do printf "%100d" $i; done; kill $!'],
                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
first = len(p.stdout.read(100))
time.sleep(0.5) # the pipe fills, and all behind it
try:
    same((first + len(p.communicate(timeout=200)[0]), p.returncode), (600000, 0), 'a slow reader, and a process that computes')
except subprocess.TimeoutExpired:
    p.kill()
    check(False, 'a slow reader, and a process that computes')
same(drupe('-e', 'A=1 2', '/bin/sh', '-c', 'echo "$A"')[1], b'1 2\n', '-e sets the environment')
same(drupe('-w', '/tmp', '/bin/pwd')[1], b'/tmp\n', '-w sets the working directory')
LIMITS = 'ulimit -Sn; ulimit -Hn; ulimit -Ss; ulimit -Hc'
same(drupe('--ulimit', 'nofile=7:8', '--ulimit', 'nofile=4294967296:-1', '--ulimit', 'stack=1048576:-1', '--ulimit', 'core=0', '/bin/dash', '-c', LIMITS)[1],
     b'4294967296\nunlimited\n1024\n0\n', '--ulimit sets limits, the last one of a kind')
same(drupe('/bin/dash', '-c', LIMITS)[1], b'1024\n524288\n8192\nunlimited\n', 'limits of who asks for none')
check(' /no/where ' in drupe('-w', '/no/where', '/bin/pwd')[2], 'one that is not there is named')
same(drupe('-u', '1000:1001', '/usr/bin/id', '-u')[1], b'1000\n', '-u sets the user')
same(drupe('-m', '6M', build_file('hello'))[0], 0, 'hello with -m 6M')

same(drupe('no-such-program')[0], 127, 'no such program: 127')
with tempfile.TemporaryDirectory() as tmp:
    text = os.path.join(tmp, 'text')
    with open(text, 'w') as f:
        f.write('not a program\n')
    os.chmod(text, 0o755)
    status, out, err = drupe(text)
    same(status, 126, 'neither ELF nor script: 126')
    check(text in err, 'the message names the file', err)
    script = os.path.join(tmp, 'script')
    with open(script, 'w') as f:
        f.write('#!/bin/sh\necho script "$1"\n')
    os.chmod(script, 0o755)
    same(drupe(script, 'arg')[1], b'script arg\n', 'a script runs under its interpreter')
    image = os.path.join(tmp, 'hello.img')
    r = subprocess.run([DRUPE, 'build', '-o', image, '/bin/echo', 'from', 'image'], capture_output=True, timeout=120)
    same(r.returncode, 0, 'drupe build')
    same(drupe(image)[1], b'from image\n', 'drupe run IMAGE runs what it was built for')
    same(drupe(image, '/bin/echo', 'other')[1], b'other\n', 'arguments behind the image replace its own')
    same(host_command('fsck.erofs', image)[0], 0, 'fsck.erofs is content')
    with open(image, 'r+b') as f:
        f.truncate(os.path.getsize(image) // 3 // 4096 * 4096)
    status, out, err = drupe(image)
    check(status not in (0, 'timeout'), 'a truncated image ends with an error', (status, out, err))
    extra = os.path.join(tmp, 'data')
    with open(extra, 'w') as f:
        f.write('added\n')
    same(drupe('--add', extra, '/bin/cat', extra)[1], b'added\n', '--add brings a file')
done()
