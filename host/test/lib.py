# SPDX-License-Identifier: Apache-2.0
"""What the host tests share: TAP output and a private cache."""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tests', 'apps'))
from beside import free_port, until  # noqa: E402, F401 (tests take them from here)

DRUPE = os.path.realpath(sys.argv[1])
WORK = tempfile.mkdtemp(prefix='drupe-test-')
atexit.register(shutil.rmtree, WORK, True)
CACHE = os.path.join(WORK, 'cache')
_count = _failed = 0


def check(good, text, detail=''):
    global _count, _failed
    _count += 1
    _failed += not good
    print(f'{"ok" if good else "not ok"} {_count} - {text}', flush=True)
    if not good:
        for line in str(detail).splitlines()[-20:]:
            print('#   ' + line)
    return good


def done():
    print(f'1..{_count}')
    sys.exit(1 if _failed else 0)


def environment(**more):
    env = dict(os.environ, DRUPE_CACHE=CACHE)
    env.update(more)
    return env


def drupe(*args, timeout=120, cwd=WORK, **more):
    """(status, stdout, stderr) of `drupe ARGS`."""
    r = subprocess.run([DRUPE, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, cwd=cwd,
                       env=environment(**more))
    return r.returncode, r.stdout.decode(errors='replace'), r.stderr.decode(errors='replace')


def work(name, content=None, mode=0o644):
    path = os.path.join(WORK, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if content is not None:
        with open(path, 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
    return path


def compile_c(name, source, *flags):
    path = work(name)
    subprocess.run(['cc', '-x', 'c', '-', '-o', path, *flags], input=source.encode(), check=True)
    return path


def extract(image, name):
    """The content of an image as a directory."""
    out = work(name)
    subprocess.run(['fsck.erofs', f'--extract={out}', '--overwrite', image], check=True, capture_output=True)
    return out


def no_kernel():
    """A kernel that no machine takes: the run ends right behind the making of the image."""
    return {'DRUPE_KERNEL': work('no-kernel', b'not a kernel')}
