#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""-v SRC:DST[:ro]: both sides see each other's changes, nothing else of the host is to be had, and errors are errors."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from lib import DRUPE, ON, check, done, drupe, same

TOOLS = [a for t in ('cat', 'ls', 'mv', 'rm', 'mkdir', 'ln', 'chmod', 'stat', 'dd', 'tar', 'sleep', 'cmp', 'mount', 'touch', 'sync', 'id', 'chown')
         for a in ('--add', shutil.which(t))]


def shell(script, *options, timeout=120, **kw):
    status, out, err = drupe('--net', 'none', *TOOLS, *options, '/bin/bash', '-c', script, timeout=timeout, **kw)
    return status, out.decode(errors='replace'), err


def write(path, text):
    with open(path, 'w') as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


tmp = tempfile.mkdtemp()
src = os.path.join(tmp, 'src')
os.mkdir(src)
write(os.path.join(tmp, 'secret'), 'secret\n')
write(src + '/one', 'one\n')
os.mkdir(src + '/dir')
volume = ['-v', src + ':/data']

# --- both ways
same(shell('cat /data/one; echo two > /data/two; mkdir /data/new; echo three >> /data/one; ls /data', *volume)[:2],
     (0, 'one\ndir\nnew\none\ntwo\n'), 'files of the host are there, and new ones can be made')
same((read(src + '/one'), read(src + '/two'), os.path.isdir(src + '/new')), ('one\nthree\n', 'two\n', True), 'the host sees them')
p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', *TOOLS, *volume, '/bin/bash', '-c',
                      'cat /data/two; echo ready; read x; cat /data/two; cat /data/late; rm /data/two; read x; ls /data; '
                      'exec 3< /data/one; read -u 3 x; echo more >> /data/one; rm /data/one; cat <&3; stat -Lc %h /proc/self/fd/3'],
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
lines = [p.stdout.readline() for _ in range(2)]
write(src + '/two', 'changed by the host\n')
write(src + '/late', 'new\n')
p.stdin.write('\n')
p.stdin.flush()
lines += [p.stdout.readline() for _ in range(2)]
same(lines, ['two\n', 'ready\n', 'changed by the host\n', 'new\n'], 'what the host changes is seen at the next open()')
os.rename(src + '/late', src + '/later')
time.sleep(0.2)
p.stdin.write('\n')
p.stdin.close()
same(p.stdout.read().split('\n'), ['dir', 'later', 'new', 'one', 'three', 'more', '0', ''],
     'names, too; and a file without a name is there as long as it is open')
same((p.wait(120), sorted(os.listdir(src))), (0, ['dir', 'later', 'new']), 'the host has what is left')

# --- owner and modes
write(src + '/mode', '')
same(shell('chmod 4751 /data/mode; umask 027; touch /data/masked; ln -s anywhere /data/link; ln /data/mode /data/hard; '
           'stat -c "%a %h" /data/mode /data/hard', *volume)[1], '4751 2\n4751 2\n', 'modes and links')
st = os.lstat(src + '/masked')
same((os.stat(src + '/mode').st_mode & 0o7777, st.st_mode & 0o7777, st.st_uid, os.readlink(src + '/link')),
     (0o4751, 0o640, os.geteuid(), 'anywhere'), 'as the host sees them')
if os.geteuid() == 0:
    os.chmod(src, 0o777)
    shell('echo x > /data/other', '-u', '1234:5678', *volume)
    st = os.stat(src + '/other')
    same((st.st_uid, st.st_gid), (1234, 5678), "root's instance: numbers are the host's")

# --- read-only
same(shell('for c in "echo x > /data/no" "rm /data/mode" "chmod 1 /data/mode" "mkdir /data/no" "mv /data/mode /data/no" '
           '"echo x >> /data/mode"; do eval "$c" 2>/dev/null && echo "$c"; done; ls /data/dir; '
           'mount -o remount,rw /data 2> /dev/null; echo x > /data/no 2>/dev/null || echo refused', '-v', src + ':/data:ro')[1],
     'refused\n', ':ro refuses every change')
check(not os.path.exists(src + '/no'), 'and nothing was changed')

# --- a file; several; one in another
same(shell('cat /etc/extra/file; echo changed > /etc/extra/file; cat /a/dir/inner /b', '-v', f'{src}/hard:/etc/extra/file',
           '-v', f'{tmp}/secret:/a/dir/inner:ro', '-v', f'{src}:/a', '-v', f'{tmp}/secret:/b')[1], 'secret\nsecret\n',
     'a file is mounted on a file, one volume in another')
same(read(src + '/hard'), 'changed\n', 'and can be written')
same(shell('cat /v{0..7}', *(a for k in range(8) for a in ('-v', f'{tmp}/secret:/v{k}')))[1], 'secret\n' * 8, 'eight volumes')
same(shell('cat /b', '-m', '100001000', '-v', f'{tmp}/secret:/b')[1], 'secret\n', 'memory that is not of whole pages')

# --- there is no way out
os.symlink('/etc/hostname', src + '/absolute')
os.symlink('../secret', src + '/upward')
os.symlink(tmp, src + '/outside')
os.mkdir(src + '/moved')
write(src + '/moved/inside', 'inside\n')
same(shell('cat /data/upward /data/../secret /data/outside/secret /data/dir/../../secret 2>/dev/null; cat /data/absolute',
           '--name', 'inner', *volume)[1], 'inner\n', 'links and ".." lead to the files of the instance, not of the host')
p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', *TOOLS, *volume, '/bin/bash', '-c',
                      'cd /data/moved; echo ready; read x; cat inside; cat ../secret ../../secret; ls ..'],
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
p.stdout.readline()
os.rename(src + '/moved', os.path.join(tmp, 'moved'))
check('secret' not in p.communicate('\n', timeout=120)[0], 'a directory that is moved out while it is open is no way up')

# --- many files, big ones
same(shell('mkdir /data/many; for i in {1..300}; do echo $i > /data/many/$i; done; cd /data; tar cf /tmp/t many; rm -r many; tar xf /tmp/t; '
           'cat many/* | while read n; do s=$((s + n)); echo $s; done | while read n; do l=$n; echo $l > /tmp/sum; done; cat /tmp/sum', *volume,
           timeout=120)[1], '45150\n', 'tar out and in again')
same(sorted(os.listdir(src + '/many'), key=int), [str(n) for n in range(1, 301)], 'as the host sees it')
big = os.urandom(5 << 20)
with open(src + '/big', 'wb') as f:
    f.write(big)
same(shell('dd if=/data/big of=/data/copy bs=300001 2>/dev/null; dd if=/data/big of=/data/direct bs=64k iflag=direct oflag=direct 2>/dev/null; '
           'cmp /data/copy /data/direct && dd if=/dev/zero of=/data/holes bs=1 count=1 seek=1000000000 2>/dev/null; stat -c %s /data/holes',
           *volume, timeout=120)[1], '1000000001\n', 'big files')
with open(src + '/copy', 'rb') as f:
    check(f.read() == big, 'byte by byte')
check(os.stat(src + '/holes').st_blocks < 100, 'a file with holes keeps them')

# --- many names that are not there, in a directory that has been the same for a while
os.mkdir(src + '/quiet')
for n in range(0, 100, 2):
    write(f'{src}/quiet/{n}', '')
time.sleep(3.1)
p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', *TOOLS, *volume, '/bin/bash', '-c',
                      'cd /data/quiet; while read x; do s=; for n in {0..99}; do [ -e $n ] && s+=" $n"; done; echo $s; done'],
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
want = list(range(0, 100, 2))
for come, go in ((None, None), (1, 2), (5, 6)):
    if come:
        write(f'{src}/quiet/{come}', '')
        os.remove(f'{src}/quiet/{go}')
        want = sorted(set(want) - {go} | {come})
        time.sleep(0.2)
    p.stdin.write('\n')
    p.stdin.flush()
    same(p.stdout.readline().split(), list(map(str, want)), 'names are what the host makes them')
p.communicate(timeout=120)

# --- both sides have a file open
with open(src + '/sparse', 'wb') as f:
    f.truncate(1 << 30)
    f.seek(1 << 29)
    f.write(b'x')
write(src + '/watched', 'before\n')
p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', *volume, '/usr/bin/python3', '-c', """
import mmap, os, sqlite3, time
os.chdir('/data')
fd = os.open('sparse', os.O_RDONLY)
at = os.lseek(fd, 0, os.SEEK_DATA)
print(at <= 1 << 29 < os.lseek(fd, at, os.SEEK_HOLE) and at > 1 << 28, os.lseek(fd, 0, os.SEEK_HOLE))
watched, shared = os.open('watched', os.O_RDONLY), os.open('shared', os.O_CREAT | os.O_RDWR)
os.ftruncate(shared, 10000)
m = mmap.mmap(shared, 10000)
m[:5], m[5000:5006] = b'first', b'shared'
m.flush()
print(os.read(watched, 100), flush=True)
input()
end = time.monotonic() + 60
while (text := os.pread(watched, 100, 0)) == b'before\\n' and time.monotonic() < end:
    time.sleep(0.05)
print(text)
db = sqlite3.connect('db')
print(db.execute('pragma journal_mode=wal').fetchone()[0])
db.execute('create table t(a)')
with db:
    db.executemany('insert into t values(?)', [(k,) for k in range(500)])
other = sqlite3.connect('db')
print(other.execute('select sum(a) from t').fetchone()[0], flush=True)
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
same([p.stdout.readline() for _ in range(2)], ['True 0\n', "b'before\\n'\n"], 'holes of the host are holes')
with open(src + '/shared', 'rb') as f:
    text = f.read()
same((text[:5], text[5000:5006], len(text)), (b'first', b'shared', 10000), 'what is written to a shared mapping is at the host behind msync()')
write(src + '/watched', 'behind\n')
same(p.communicate('\n', timeout=120)[0], "b'behind\\n'\nwal\n124750\n", 'a file that is open shows what the host writes; SQLite with a shared mapping')

APPEND = 'exec 5>> /data/log; echo ready; read x; for ((n = 0; n < 200; n++)); do echo line of this writer >&5; done'
writers = [subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', *TOOLS, *volume, '/bin/bash', '-c', APPEND], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True) for _ in range(2)]
for p in writers:
    p.stdout.readline()
for p in writers:
    p.stdin.write('\n')
    p.stdin.flush()
for _ in range(200):
    with open(src + '/log', 'a') as f:
        f.write('line of this writer\n')
same([p.wait(120) for p in writers] + [read(src + '/log')], [0, 0, 'line of this writer\n' * 600], 'two instances and the host append to one file')

# --- the server dies
p = subprocess.Popen([DRUPE, 'run', *ON, '--net', 'none', *TOOLS, *volume, '/bin/bash', '-c',
                      'echo ready; read x; cat /data/later; echo x > /data/dir/x; ls /data; echo alive'],
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
p.stdout.readline()
found = subprocess.run(['ps', '-o', 'pid=,comm=', '--ppid', str(p.pid)], capture_output=True, text=True).stdout
servers = [int(line.split()[0]) for line in found.splitlines() if 'drupe-9p' in line]
same(len(servers), 1, 'each volume has its server')
os.kill(servers[0], signal.SIGKILL)
out, err = p.communicate('\n', timeout=120)
same((out, p.returncode), ('alive\n', 0), 'a server that dies: errors, and the program goes on')
check('Input/output error' in err and 'server of volume' in err, 'both are told', err)

# --- what a person meets
for option, word in ((f'{tmp}/none:/x', 'No such file'), (f'{src}:x', 'absolute path'), (f'{src}', 'SRC:DST'), ('name:/x', 'named volumes'),
                     (f'{src}:/x:rx', '"rx"'), ('/dev/null:/x', 'neither'), (f'{src}:/', 'root'), (f'{src}:/proc/x', "kernel's")):
    status, out, err = drupe('-v', option, '/bin/true')
    check(status == 125 and word in err, f'-v with {word}', (status, err))
status, out, err = drupe('-v', f'{src}:/x', '-v', f'{src}:/x/', '/bin/true')
check(status == 125 and 'already' in err, '-v with the same place twice', err)
shutil.rmtree(tmp)
done()
