/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes: 9P2000.L between the kernel (kernel/fs/9p) and the server of a directory (host/9p), little-endian:
 *
 *   0      4      5     7
 *   | size | type | tag | fields ... |         size counts itself; a reply has its request's type + 1, or P9_RLERROR
 *
 * Over a stream (a port named P9_PORT and a number) messages follow each other without gaps. Strings are
 * len[2] bytes; a qid is type[1] version[4] path[8].
 *
 * In a machine each message is a chain of a virtqueue, with room for the reply behind it; the device has the type of file systems
 * (virtio 1.2, section 5.11; the queue is its first request queue), and its tag is the port's name. The port carries nothing
 * then; it closes when the server ends.
 *
 * P9_DIALECT is 9P2000.L and more: requests take effect in the order in which they came, and are answered in that
 * order, so that a client may name a fid that an unanswered request is to make; a Twrite at P9_APPEND appends, atomically;
 * and what Linux's files can and the protocol cannot:
 *
 *   Tallocate   fid[4] mode[4] offset[8] length[8]                          fallocate(2)
 *   Ttmpfile    fid[4] mode[4]                         Rtmpfile qid[13]     the fid of a directory becomes an open file
 *   Tseek       fid[4] whence[4] offset[8]             Rseek offset[8]      lseek(2), SEEK_DATA and SEEK_HOLE
 *   Trename2    fid[4] name[s] fid[4] name[s] flags[4]                      renameat2(2)
 *
 * Rgetattr's data_version of a directory is its names': while it is the same, they are, with what they name. 0: they may change without.
 *
 * Who does not know it answers with another version.
 */
#ifndef ABI_P9_H
#define ABI_P9_H

#define P9_PORT "drupe.9p."
#define P9_QUEUE 1024u /* descriptors, where messages are chains of a virtqueue */
#define P9_MAX_VOLUMES 8
#define P9_DIALECT "9P2000.L.drupe"

#define P9_HEADER 7u
#define P9_QID 13u
#define P9_IO_HEADER 24u                  /* room for what stands before the data of Twrite, Rread, Rreaddir */
#define P9_MSIZE (512u * 1024 + P9_IO_HEADER)
#define P9_MIN_MSIZE 8192u
#define P9_NOTAG 0xffffu
#define P9_NOFID 0xffffffffu
#define P9_APPEND 0xffffffffffffffffull

enum p9_type {
    P9_RLERROR = 7,
    P9_TSTATFS = 8,
    P9_TLOPEN = 12,
    P9_TLCREATE = 14,
    P9_TSYMLINK = 16,
    P9_TMKNOD = 18,
    P9_TREADLINK = 22,
    P9_TGETATTR = 24,
    P9_TSETATTR = 26,
    P9_TXATTRWALK = 30,
    P9_TXATTRCREATE = 32,
    P9_TREADDIR = 40,
    P9_TFSYNC = 50,
    P9_TLINK = 70,
    P9_TMKDIR = 72,
    P9_TUNLINKAT = 76,
    P9_TVERSION = 100,
    P9_TATTACH = 104,
    P9_TFLUSH = 108,
    P9_TWALK = 110,
    P9_TREAD = 116,
    P9_TWRITE = 118,
    P9_TCLUNK = 120,
    P9_TALLOCATE = 200,
    P9_TTMPFILE = 202,
    P9_TRENAME2 = 204,
    P9_TSEEK = 206,
};

#define P9_QID_DIR 0x80u
#define P9_QID_SYMLINK 0x02u

#define P9_GETATTR_ALL 0x3fffull
#define P9_GETATTR_BASIC 0x7ffull
#define P9_GETATTR_BTIME 0x800ull

#define P9_SETATTR_MODE 1u
#define P9_SETATTR_UID 2u
#define P9_SETATTR_GID 4u
#define P9_SETATTR_SIZE 8u
#define P9_SETATTR_ATIME 16u
#define P9_SETATTR_MTIME 32u
#define P9_SETATTR_CTIME 64u
#define P9_SETATTR_ATIME_SET 128u
#define P9_SETATTR_MTIME_SET 256u

#define P9_UNLINK_DIR 0x200u /* AT_REMOVEDIR */

#endif
