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
done()
