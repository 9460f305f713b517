#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make EROFS images of a tree with every kind of file, and a list of what is in it.

make_images.py OUTDIR writes OUTDIR/images.S, which carries the images and the list into a test
program, and beside it the files themselves. Without mkfs.erofs the images are empty and the tests skip.
"""
import os, random, shutil, stat, subprocess, sys, zlib

def put(path, data, mode=0o644):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)

def make_tree(root):
    rnd = random.Random(7)
    os.makedirs(root)
    os.chmod(root, 0o755)
    put(root + "/empty", b"")
    put(root + "/one", b"x")
    put(root + "/small", b"hello, world\n" * 20, 0o600)
    put(root + "/page", rnd.randbytes(4096), 0o755)
    put(root + "/page1", rnd.randbytes(4097))
    put(root + "/large", rnd.randbytes(700 * 1024 + 123))
    with open(root + "/sparse", "wb") as f:
        f.write(b"begin")
        f.seek(300 * 1024)
        f.write(b"middle")
        f.truncate(600 * 1024 + 5)
    os.chmod(root + "/sparse", 0o644)
    put(root + "/suid", b"#!/bin/sh\n", 0o4755)
    os.makedirs(root + "/dir/sub/deep/er")
    put(root + "/dir/sub/deep/er/file", b"deep")
    os.makedirs(root + "/many")
    for k in range(700):
        put(f"{root}/many/file-{k:04}-with-a-longer-name", b"%d" % k)
    os.makedirs(root + "/emptydir", 0o700)
    os.chmod(root + "/emptydir", 0o1777)
    put(root + "/dir/" + "n" * 254, b"long name") # mkfs.erofs 1.5 cuts a name of 255
    put(root + "/dir/names with blank and \xc3\xa4".encode("latin1").decode("utf8"), b"blank")
    os.link(root + "/small", root + "/dir/hard")
    os.link(root + "/small", root + "/dir/hard2")
    os.symlink("small", root + "/link")
    os.symlink("/dir/sub", root + "/abslink")
    os.symlink("loop2", root + "/loop1")
    os.symlink("loop1", root + "/loop2")
    os.symlink("nowhere", root + "/dangling")
    os.symlink("dir", root + "/dirlink")
    os.symlink("x" * 4000, root + "/longlink")
    os.mkfifo(root + "/fifo", 0o640)
    if os.geteuid() == 0:
        os.mknod(root + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.chmod(root + "/null", 0o666)
        os.mknod(root + "/blk", stat.S_IFBLK | 0o660, os.makedev(259, 65536 + 7))
        os.chown(root + "/one", 1000, 70000)
    for name, value in (("user.first", b"1"), ("user.second", b"two" * 50), ("user.third", b"")):
        try:
            os.setxattr(root + "/page", name, value)
            os.setxattr(root + "/page1", name, value)
            os.setxattr(root + "/dir", name, value)
        except OSError:
            pass
    for d, _, files in os.walk(root, topdown=False):
        for f in files:
            os.utime(os.path.join(d, f), ns=(0, 1600000000 * 10**9 + 123456789), follow_symlinks=False)
        os.utime(d, ns=(0, 1500000000 * 10**9 + 5))

def manifest(root):
    out = []
    def one(path):
        s = os.lstat(root + path)
        crc = 0
        target = ""
        if stat.S_ISREG(s.st_mode):
            with open(root + path, "rb") as f:
                crc = zlib.crc32(f.read())
        elif stat.S_ISLNK(s.st_mode):
            target = os.readlink(root + path)
        size = s.st_size if stat.S_ISREG(s.st_mode) or stat.S_ISLNK(s.st_mode) else 0
        x = []
        if not stat.S_ISLNK(s.st_mode):
            for n in sorted(os.listxattr(root + path)):
                if n.startswith("user."):
                    x.append(n + "=" + os.getxattr(root + path, n).decode())
        rdev = (os.major(s.st_rdev), os.minor(s.st_rdev)) if s.st_rdev else (0, 0)
        out.append("\t".join(map(str, (path or "/", s.st_mode, s.st_uid, s.st_gid, size, s.st_nlink, s.st_mtime_ns,
                                        rdev[0], rdev[1], crc, target, " ".join(x)))))
        if stat.S_ISDIR(s.st_mode):
            for n in sorted(os.listdir(root + path)):
                one(path + "/" + n)
    one("")
    return "\n".join(out) + "\n"

VARIANTS = {
    "plain": ["-E", "noinline_data,force-inode-extended"],
    "inline": ["-E", "force-inode-extended"],
    "compact": ["-T1700000000"],  # one time for all: most inodes fit the short form
    "chunked": ["--chunksize=4096", "-E", "force-chunk-indexes"],
    "blockmap": ["--chunksize=8192", "-E", "force-inode-extended"],
}

def main():
    out = os.path.abspath(sys.argv[1])
    os.makedirs(out, exist_ok=True)
    tree = out + "/tree"
    shutil.rmtree(tree, ignore_errors=True)
    make_tree(tree)
    with open(out + "/manifest.txt", "w") as f:
        f.write(manifest(tree))
    images = {}
    for name, args in VARIANTS.items():
        path = f"{out}/{name}.img"
        if os.path.exists(path):
            os.unlink(path)
        ok = shutil.which("mkfs.erofs") is not None and subprocess.run(
            ["mkfs.erofs", "--quiet", "-x1", *args, path, tree],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        if not ok:
            open(path, "wb").close()
        images[name] = path
    images["manifest"] = out + "/manifest.txt"
    with open(sys.argv[2] if len(sys.argv) > 2 else out + "/images.S", "w") as f:
        f.write("/* made by make_images.py */\n.section .rodata\n")
        for name, path in images.items():
            f.write(f".balign 4096\n.globl image_{name}\nimage_{name}:\n.incbin \"{path}\"\n"
                    f".globl image_{name}_end\nimage_{name}_end:\n.byte 0\n")
        f.write(".section .note.GNU-stack,\"\",@progbits\n")
    shutil.rmtree(tree)

main()
