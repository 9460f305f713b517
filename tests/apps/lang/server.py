# SPDX-License-Identifier: Apache-2.0
"""Python: asyncio's server, multiprocessing by fork and by spawn, subprocesses, sqlite3 with a write-ahead log."""
import asyncio
import multiprocessing
import os
import sqlite3
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor


def count(seed):
    a = seed
    for i in range(100000):
        a = (a * 31 + i) % 1000003
    return a


def work():
    with multiprocessing.Pool(2) as pool:
        return ' '.join(map(str, pool.map(count, range(4)))) + '\n'


def upper(inbox, outbox):
    for word in iter(inbox.get, None):
        outbox.put(word.upper())


def spawned():
    """A fresh interpreter, queues on semaphores in shared memory, and a value that both change."""
    ctx = multiprocessing.get_context('spawn')
    inbox, outbox = ctx.Queue(), ctx.Queue()
    p = ctx.Process(target=upper, args=(inbox, outbox))
    p.start()
    for word in ('spawned', None):
        inbox.put(word)
    said = outbox.get(timeout=60)
    p.join()
    return f'{said} {p.exitcode}'


def database():
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, 'db')
        db = sqlite3.connect(path)
        mode = db.execute('pragma journal_mode=wal').fetchone()[0]
        db.execute('create table t (n integer primary key, s text)')
        with db:
            db.executemany('insert into t values (?, ?)', ((i, str(i)) for i in range(1000)))
        other = sqlite3.connect(path)
        total = other.execute('select sum(n), count(distinct s) from t').fetchone()
        other.close()
        check = db.execute('pragma integrity_check').fetchone()[0]
        db.close()
        return f'{mode} {total} {check}'


def own():
    return f'{spawned()}, {database()}\n'


async def child():
    p = await asyncio.create_subprocess_exec('/bin/echo', 'through a child', stdout=asyncio.subprocess.PIPE)
    out, _ = await p.communicate()
    return out.decode()


async def serve(reader, writer):
    path = (await reader.readuntil(b'\r\n\r\n')).split()[1].decode()
    loop = asyncio.get_running_loop()
    if path in ('/work', '/own'):
        body = await loop.run_in_executor(threads, work if path == '/work' else own)
    elif path == '/child':
        body = await child()
    else:
        body = 'bye\n' if path == '/quit' else 'hello\n'
    writer.write(f'HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}'.encode())
    await writer.drain()
    writer.close()
    if path == '/quit':
        stopped.set_result(3)


async def main():
    global stopped
    stopped = asyncio.get_running_loop().create_future()
    async with await asyncio.start_server(serve, '0.0.0.0', 8080):
        return await stopped


if __name__ == '__main__':
    threads = ThreadPoolExecutor(4)
    sys.exit(asyncio.run(main()))
