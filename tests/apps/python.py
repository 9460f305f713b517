#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's python3: arithmetic, modules, threads, sockets."""
from lib import check, done, drupe, same

PY = '/usr/bin/python3'
same(drupe(PY, '-c', 'print(2**100)', timeout=120)[1], b'1267650600228229401496703205376\n', '2**100')
same(drupe(PY, '-c', 'import sys; sys.exit(5)')[0], 5, 'sys.exit(5)')
CODE = '''
import threading, socket, json, hashlib, os, time, asyncio, select, random, tempfile, decimal
total = 0
lock = threading.Lock()
def work():
    global total
    for _ in range(1000):
        with lock: total += 1
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(total)
server = socket.create_server(("127.0.0.1", 0))
def serve():
    c, _ = server.accept()
    c.sendall(c.recv(100).upper()); c.close()
t = threading.Thread(target=serve); t.start()
c = socket.create_connection(server.getsockname()); c.sendall(b"hello"); print(c.recv(100)); t.join()
async def main():
    await asyncio.sleep(0.01)
    return "slept"
print(asyncio.run(main()))
with tempfile.NamedTemporaryFile() as f:
    f.write(b"data"); f.flush(); print(os.path.getsize(f.name))
print(hashlib.sha256(b"x").hexdigest()[:8], json.dumps({"a": [1, None]}))
print(sorted(os.listdir("/"))[:2])
try:
    1 / 0
except ZeroDivisionError as e:
    print(e)
'''
status, out, err = drupe(PY, '-c', CODE, timeout=120)
same(status, 0, 'a larger program ends well')
check(out.decode().splitlines()[:5] == ['4000', "b'HELLO'", 'slept', '4', '2d711642 {"a": [1, null]}'],
      'threads, sockets, asyncio, files, modules', out.decode() + err)
REFUSED = '''
import ctypes, errno, fcntl, os
def tell(what, fn):
    try:
        print(what, fn())
    except OSError as e:
        print(what, errno.errorcode[e.errno])
open("/tmp/a", "w").close()
a, libc = os.open("/tmp/a", os.O_RDONLY), ctypes.CDLL(None, use_errno=True)
tell("a lease", lambda: fcntl.fcntl(a, fcntl.F_SETLEASE, fcntl.F_RDLCK))
tell("none is held", lambda: fcntl.fcntl(a, fcntl.F_GETLEASE) == fcntl.F_UNLCK)
tell("F_NOTIFY", lambda: fcntl.fcntl(os.open("/tmp", os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_CREATE))
print("a whiteout", libc.renameat2(-100, b"/tmp/a", -100, b"/tmp/b", 4), errno.errorcode[ctypes.get_errno()], os.listdir("/tmp"))
print([open("/proc/sys/fs/" + f).read() for f in ("leases-enable", "dir-notify-enable")])
'''
same(drupe(PY, '-c', REFUSED)[1].decode(), "a lease EINVAL\nnone is held True\nF_NOTIFY EINVAL\na whiteout -1 EINVAL ['a']\n['0\\n', '0\\n']\n", 'leases, dnotify and whiteouts are refused')
COMMIT = '''
import errno, mmap, os, resource, select, socket, sys
def setting(name, value=None):
    with open("/proc/sys/" + name, "r" if value is None else "w") as f:
        return int(f.read()) if value is None else f.write(str(value))
def tell(what, fn):
    try:
        fn(); print(what, "yes")
    except (OSError, ValueError) as e:
        print(what, errno.errorcode.get(getattr(e, "errno", None), e))
def info(name):
    return next(int(l.split()[1]) for l in open("/proc/meminfo") if l.startswith(name + ":"))
MIB = 1 << 20
def area(size, flags=0, prot=mmap.PROT_READ | mmap.PROT_WRITE):
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | flags, prot=prot)
before = info("Committed_AS")
kept = area(64 * MIB)
print("counted", abs(info("Committed_AS") - before - 65536) < 4096)
kept.close()
print("and no more", abs(info("Committed_AS") - before) < 4096, info("CommitLimit") == info("MemTotal") // 8 * 4)
tell("more than there is", lambda: area(1 << 40))
tell("nothing is promised", lambda: area(1 << 40, 0x4000))
tell("only read", lambda: area(1 << 40, prot=mmap.PROT_READ))
setting("vm/overcommit_memory", 1)
tell("always", lambda: area(1 << 40))
used = info("Committed_AS")
setting("vm/overcommit_kbytes", used + 102400)
print(setting("vm/overcommit_ratio"), info("CommitLimit") - used)
setting("vm/overcommit_memory", 2)
tell("below the limit", lambda: area(64 * MIB))
tell("above", lambda: area(200 * MIB))
tell("above, not reserved", lambda: area(200 * MIB, 0x4000))
big = area(70 * MIB)
tell("fork", lambda: os.fork() or os._exit(0))
big.close()
tell("fork with less", lambda: os.fork() or os._exit(0))
tell("mode 3", lambda: setting("vm/overcommit_memory", 3))
setting("fs/nr_open", 1000)
tell("1000 files", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000)))
tell("1001 files", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1001)))
setting("vm/overcommit_memory", 0)
tell("file-max above all", lambda: setting("fs/file-max", 1 << 63))
setting("fs/file-max", 1)
print("file-max", setting("fs/file-max"), open("/proc/sys/fs/file-nr").read().split()[1:])
tell("root", lambda: os.close(os.open("/", 0)))
sys.stdout.flush()
if os.fork() == 0:
    os.setuid(1000)
    for what, fn in (("open", lambda: os.open("/", 0)), ("pipe", os.pipe), ("socket", socket.socket), ("pair", socket.socketpair),
                     ("eventfd", lambda: os.eventfd(0)), ("memfd", lambda: os.memfd_create("m")), ("epoll", select.epoll)):
        tell(what, fn)
    os.dup(1)
    sys.stdout.flush()
    os._exit(0)
os.wait()
first, second = socket.socketpair()
held = int(open("/proc/sys/fs/file-nr").read().split()[0])
first.close()
print("file-nr", held - int(open("/proc/sys/fs/file-nr").read().split()[0]))
'''
WANT = '''counted True
and no more True True
more than there is ENOMEM
nothing is promised yes
only read yes
always yes
0 102400
below the limit yes
above ENOMEM
above, not reserved ENOMEM
fork ENOMEM
fork with less yes
mode 3 EINVAL
1000 files yes
1001 files not allowed to raise maximum limit
file-max above all EINVAL
file-max 1 ['0', '1']
root yes
open ENFILE
pipe ENFILE
socket ENFILE
pair ENFILE
eventfd ENFILE
memfd ENFILE
epoll ENFILE
file-nr 1
'''
status, out, err = drupe(PY, '-c', COMMIT)
same((status, out.decode()), (0, WANT), 'overcommit_memory, CommitLimit, nr_open, file-max')
done()
