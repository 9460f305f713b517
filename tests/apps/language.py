#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small server in one of the common languages (lang/): language.py DRUPE BUILD NAME [--on PLATFORM].

All answer the same requests: /work is computed by four threads or processes, /child by another
program, /own is what this language's runtime asks of a kernel in its own way, /quit ends it with status 3.
Each gets little more memory than the least that it runs in (docs/LANGUAGES.md).
"""
import os
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

NAME = sys.argv.pop(3)
from lib import check, done, free_port, host_command, same, server, stop  # noqa: E402 (it looks at the rest of argv)


class Language(NamedTuple):
    memory: str             # -m
    own: str                # the answer to /own
    run: str                # SOURCE and arguments; {src} is lang/, {out} the directory where build was run
    build: str = 'true'     # a command of the shell
    options: str = ''       # of drupe run
    quit: bool = True       # knows /quit; else SIGTERM ends it


LUA = '/usr/lib/x86_64-linux-gnu/lua/'
PHP = '-d opcache.enable_cli=1 -d opcache.jit=tracing -d opcache.jit_buffer_size=16M -S 0.0.0.0:8080'
LANGUAGES = {
    'c': Language('16M', 'overflow 11, 20 ticks', '{out}/server', 'gcc -O1 -pthread -o server {src}/server.c'),
    'cpp': Language('32M', 'compared 1, 499000, from a thread, 1 1', '{out}/server', 'g++ -std=c++17 -O1 -pthread -o server {src}/server.cc'),
    'go': Language('64M', 'runtime error: invalid memory address or nil pointer dereference true 1000 true 499500', '{out}/server',
                   'go build -o server {src}/server.go'),
    'python': Language('96M', 'SPAWNED 0, wal (499500, 1000) ok', '/usr/bin/python3 {src}/server.py'),
    'ruby': Language('64M', 'from a fork 7, overflow, late, true', '/usr/bin/ruby {src}/server.rb'),
    'php': Language('64M', 'jit 600, Division by zero, 0', f'/usr/bin/php {PHP} {{src}}/server.php',
                    options='-e PHP_CLI_SERVER_WORKERS=2', quit=False),
    'perl': Language('32M', 'late, THROUGH A SOCKET 7', '/usr/bin/perl {src}/server.pl'),
    'lua': Language('16M', 'false thrown, true', '/usr/bin/lua5.4 {src}/server.lua',
                    options=f'--add /usr/share/lua/5.4 --add {LUA}5.4'),
    'luajit': Language('16M', 'false thrown, true', '/usr/bin/luajit {src}/server.lua',
                       options=f'--add /usr/share/lua/5.1 --add {LUA}5.1'),
    'node': Language('192M', 'ok, memory access out of bounds, 100000', '/usr/bin/node {src}/server.js'),
    'java': Language('128M', '30 true 200000000', '/usr/bin/java -cp {out} Server', 'javac -d . {src}/Server.java'),
    'rust': Language('32M', 'true 4950 4950 true true', '{out}/server', 'rustc -O -o server {src}/server.rs'),
    'erlang': Language('64M', 'crashed 12502500 5000 late', '/usr/bin/erl -noinput -pa {out} -s server main', 'erlc {src}/server.erl'),
    'ocaml': Language('32M', 'overflow 1225 true', '{out}/server',
                      'cp {src}/server.ml . && ocamlopt -I +threads unix.cmxa threads.cmxa -o server server.ml'),
    'haskell': Language('64M', '500500 thread killed Nothing divide by zero 50000', '{out}/server',
                        'ghc -v0 -O -threaded -outputdir . -o server {src}/Server.hs'),
}


def test(language, out):
    names = {'src': os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lang'), 'out': out}
    status, said = host_command('sh', '-c', language.build.format(**names), timeout=300, cwd=out)
    check(status == 0, 'builds', said)
    port = free_port()

    def get(path, timeout=120):
        status, body = host_command('curl', '-sS', '-m', str(timeout), f'http://127.0.0.1:{port}{path}', timeout=timeout + 10)
        if status != 0:
            raise OSError(body)
        return body

    with server('-m', language.memory, '-p', f'{port}:8080', '--add', '/bin/sh', '--add', '/bin/echo', '--add', names['src'], '--add', out,
                *language.options.split(), *language.run.format(**names).split(), ready=lambda: get('/', 30), timeout=300) as p:
        same(get('/work'), '933429 16998 100570 184142\n', 'four threads or processes')
        same(get('/child'), 'through a child\n', 'a child process')
        same(get('/own'), language.own + '\n', "the runtime's own ways")
        with ThreadPoolExecutor(4) as pool:
            same(set(pool.map(get, ['/'] * 40)), {'hello\n'}, 'forty requests, four at a time')
        if language.quit:
            same(get('/quit'), 'bye\n', 'asked to end')
            same(p.wait(120), 3, 'its exit status')
        else:
            same(stop(p, signal.SIGTERM), 143, 'ended by SIGTERM')
    print(f'# {NAME} ran with -m {language.memory}')


with tempfile.TemporaryDirectory() as tmp:
    test(LANGUAGES[NAME], tmp)
done()
