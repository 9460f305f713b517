#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images hold what ld.so(8) and the package database say, with owner and mode; fsck.erofs is content."""
import filecmp
import json
import os
import re
import shutil
import stat
import subprocess

from lib import WORK, check, compile_c, done, drupe, extract, work


def build(name, *args):
    image = work(name + '.img')
    status, _, err = drupe('build', '-o', image, *args)
    if not check(status == 0, f'build {name}', err):
        return None
    fsck = subprocess.run(['fsck.erofs', image], capture_output=True, text=True)
    check(fsck.returncode == 0, f'{name}: fsck.erofs is content', fsck.stdout + fsck.stderr)
    return extract(image, name + '.d')


def inside(root, path):
    """Where a path of the image ends, its symlinks followed below `root`."""
    for _ in range(40):
        parts, at = path.strip('/').split('/'), ''
        for i, part in enumerate(parts):
            at += '/' + part
            if os.path.islink(root + at):
                target = os.readlink(root + at)
                base = target if target.startswith('/') else os.path.dirname(at) + '/' + target
                path = os.path.normpath('/'.join([base, *parts[i + 1:]]))
                break
        else:
            return root + path
    return None


def libraries(program):
    out = subprocess.run(['ldd', program], capture_output=True, text=True).stdout
    return re.findall(r'(/\S+) \(0x', out)


for program in ['/bin/ls', '/usr/bin/env', shutil.which('redis-server'), shutil.which('nginx'), '/usr/bin/python3',
                shutil.which('memcached'), shutil.which('git')]:
    if not program or not os.path.exists(program):
        continue
    root = build(os.path.basename(program), program)
    if not root:
        continue
    found = libraries(program)
    missing = [p for p in found if not os.path.isfile(inside(root, p)) or not filecmp.cmp(p, inside(root, p), False)]
    check(found and not missing, f'{program}: the libraries that ldd names', missing)
    real = os.path.realpath(program)
    here, there = os.stat(real), os.stat(root + real)
    check(here.st_mode == there.st_mode and int(here.st_mtime) == int(there.st_mtime), f'{program}: mode and time')
    check(os.path.exists(inside(root, program)), f'{program}: its name leads to it')

root = os.path.join(WORK, 'ls.d')
want = {'bin', 'dev', 'etc', 'lib', 'lib64', 'proc', 'root', 'run', 'sbin', 'sys', 'tmp', 'usr', 'var'}
check(want <= set(os.listdir(root)), 'a normal root', os.listdir(root))
check(stat.S_IMODE(os.stat(root + '/tmp').st_mode) == 0o1777, '/tmp is everybody\'s')
check(stat.S_IMODE(os.stat(root + '/root').st_mode) == 0o700, '/root is root\'s')
check(stat.S_IMODE(os.stat(root).st_mode) == 0o755, '/ can be entered')
if os.path.islink('/lib'):
    check(os.path.islink(root + '/lib') and os.readlink(root + '/lib') == os.readlink('/lib'), '/lib as on this host')
cache = subprocess.run(['ldconfig', '-p', '-C', root + '/etc/ld.so.cache'], capture_output=True, text=True)
check('libc.so.6 (libc6,x86-64)' in cache.stdout, 'ldconfig reads our ld.so.cache', cache.stdout + cache.stderr)
config = json.load(open(root + '/.drupe/config.json'))
check(config['process']['args'] == ['/bin/ls'], 'config.json: args', config)

# Configuration, switched-on modules and state directories of a package, but not its documentation.
root = os.path.join(WORK, 'nginx.d')
if os.path.isdir(root):
    check(os.path.exists(root + '/etc/nginx/nginx.conf') and os.path.isdir(root + '/var/lib/nginx'), 'nginx: its files')
    enabled = os.listdir('/etc/nginx/modules-enabled')
    check(all(os.path.exists(inside(root, '/etc/nginx/modules-enabled/' + e)) for e in enabled), 'nginx: its modules', enabled)
    check(not os.path.exists(root + '/usr/share/doc'), 'nginx: no documentation')
root = os.path.join(WORK, 'python3.d')
if os.path.isdir(root):
    version = os.path.basename(os.path.realpath('/usr/bin/python3'))
    check(os.path.exists(f'{root}/usr/lib/{version}/os.py'), 'python3: its library')
    check(os.path.exists(f'{root}/usr/lib/{version}/__pycache__/os.cpython-{version[6:].replace(".", "")}.pyc'),
          'python3: compiled files')
root = os.path.join(WORK, 'git.d')
if os.path.isdir(root):
    gconv = f'{root}/usr/lib/{os.uname().machine}-linux-gnu/gconv'
    check(os.path.isfile(gconv + '/ISO8859-1.so') and not os.path.exists(gconv + '/IBM1047.so'), 'git: the common character sets, it names iconv_open', gconv)

# The search rules of ld.so: RUNPATH, RPATH inherited, $ORIGIN, a symlink as the library's name.
os.makedirs(WORK + '/prog/lib/deep', exist_ok=True)
compile_c('prog/lib/deep/libdeep.so', 'int deep(void){return 1;}', '-shared', '-fPIC', '-Wl,-soname,libdeep.so')
compile_c('prog/lib/libtop.so.1.2', 'int deep(void);int top(void){return deep();}', '-shared', '-fPIC',
          '-Wl,-soname,libtop.so.1', '-L' + WORK + '/prog/lib/deep', '-ldeep', '-Wl,--enable-new-dtags,-rpath,$ORIGIN/deep')
for link in ('libtop.so.1', 'libtop.so'):
    os.symlink('libtop.so.1.2', WORK + '/prog/lib/' + link)
for tags in ('--enable-new-dtags', '--disable-new-dtags'):
    name = 'prog/main' + tags
    main = compile_c(name, 'int top(void);int main(void){return top();}', '-L' + WORK + '/prog/lib', '-ltop',
                     '-Wl,' + tags + ',-rpath,${ORIGIN}/lib', '-Wl,-rpath-link,' + WORK + '/prog/lib/deep')
    root = build('origin' + tags, main)
    if root:
        check(os.readlink(f'{root}{WORK}/prog/lib/libtop.so.1') == 'libtop.so.1.2' and
              os.path.isfile(f'{root}{WORK}/prog/lib/deep/libdeep.so'), f'{tags}: $ORIGIN, symlink, library of a library')
        check(os.path.exists(f'{root}{main}'), 'the program has its own path')

# What the C library loads by itself
for name, text in (('exits', '#include <pthread.h>\nint main(void){pthread_exit(0);}'), ('plain', 'int main(void){return 0;}')):
    root = build('unwinder-' + name, compile_c(name, text))
    if root:
        there = inside(root, '/lib/x86_64-linux-gnu/libgcc_s.so.1')
        check(os.path.isfile(there) == (name == 'exits'), f'{name}: libgcc_s.so.1 where threads may be unwound')

# --add, directories, scripts, dir:
work('extra/a.txt', 'A')
work('extra/sub/b.txt', 'B', 0o600)
os.symlink('a.txt', WORK + '/extra/link')
os.link(WORK + '/extra/a.txt', WORK + '/extra/hard')
root = build('added', '--add', 'extra', '--add', 'extra/a.txt:/data/c.txt', '/bin/ls')
if root:
    check(open(f'{root}{WORK}/extra/sub/b.txt').read() == 'B', '--add of a directory')
    check(os.readlink(f'{root}{WORK}/extra/link') == 'a.txt', '--add keeps symlinks')
    check(open(root + '/data/c.txt').read() == 'A', '--add PATH:DST')
script = work('script', '#!/bin/sh -e\necho hi\n', 0o755)
root = build('script', script, 'x')
if root:
    args = json.load(open(root + '/.drupe/config.json'))['process']['args']
    check(args == ['/bin/sh', '-e', script, 'x'], 'a script is its interpreter\'s argument', args)
    check(os.path.exists(inside(root, '/bin/sh')) and os.path.exists(root + script), 'interpreter and script')
outer = work('outer', f'#!{script} one two\n', 0o755)
root = build('outer', outer, 'x')
if root:
    args = json.load(open(root + '/.drupe/config.json'))['process']['args']
    check(args == ['/bin/sh', '-e', script, 'one two', outer, 'x'], 'a script that is interpreted by a script', args)
    check(os.path.exists(root + script) and os.path.exists(root + outer), 'both are there')
by_env = work('by-env', '#!/usr/bin/env python3\nprint(1)\n', 0o755)
work('scripts/inside', '#!/usr/bin/env python3\nprint(1)\n', 0o755)
root = build('added-scripts', '--add', outer, '--add', by_env + ':/bin/by-env', '/bin/ls')
if root:
    check(os.path.exists(root + outer) and os.path.exists(root + script) and os.path.exists(inside(root, '/bin/sh')), '--add of a script: all that interpret it')
    check(os.path.exists(inside(root, '/usr/bin/env')) and os.path.exists(inside(root, '/usr/bin/python3')), 'what env finds, too')
    python = os.path.basename(os.path.realpath('/usr/bin/python3'))
    check(os.path.exists(f'{root}/usr/lib/{python}/os.py'), 'and its package')
    missing = [p for p in libraries('/usr/bin/python3') if not os.path.isfile(inside(root, p))]
    check(not missing, 'and its libraries', missing)
odd = work('odd', '#!/usr/bin/env -S python3 -u\n', 0o755)
lost = work('lost', '#!/no/such/thing\n', 0o755)
near = work('near', '#!guessed\n', 0o755)
guessed = work('guessed', 'x', 0o755)
for name, more in (('odd', ('--add', odd)), ('lost', ('--add', lost)), ('near', ('--add', near)), ('plain-text', ('--add', work('text', '#!/bin/sh\n'))), ('scripts-below', ('--add', 'scripts'))):
    root = build(name, *more, '/bin/ls')
    if root:
        check(not os.path.exists(root + '/usr/bin/python3') and not os.path.lexists(root + '/usr/bin/sh') and not os.path.exists(root + guessed), f'{name}: nothing is guessed')
root = build('dir', 'dir:extra', '/prog', 'arg')
if root:
    check(open(root + '/sub/b.txt').read() == 'B' and os.path.isdir(root + '/proc'), 'dir: is the root')
    check(os.stat(root + '/a.txt').st_mode == os.stat(WORK + '/extra/a.txt').st_mode, 'dir: keeps modes')
    check(json.load(open(root + '/.drupe/config.json'))['process']['args'] == ['/prog', 'arg'], 'dir: args')
nlink = subprocess.run(['dump.erofs', '--path=/hard', work('dir.img')], capture_output=True, text=True).stdout
check(re.search(r'Links: *2', nlink), 'hard links stay hard links', nlink)
done()
