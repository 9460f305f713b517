/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the host by 9P2000.L (abi/p9.h). Everything that the server sends is hostile.
 *
 *   super.c   mounting; inodes by their qids       conn.c    requests, tags, fids
 *   inode.c   names and attributes                 stream.c  messages over a host port
 *   names.c   what directories are known to hold   queue.c   messages by a device's queue
 *   file.c    open files, data, directories
 *
 * What is believed, and for how long. The host may change everything behind our back:
 *
 *   C1  Names (also those that are not there) and attributes are believed for P9_VALID_NS. open() asks anew.
 *       What a directory's names were when it had the version (abi/p9.h) that the attributes tell, they are.
 *   C2  Data is cached by page. When attributes come that show a change which was not ours (time of change or size),
 *       all pages of the file go. So what a file holds at open() is what is read, as with NFS. A program that reads a
 *       file while the host writes it sees the change when C1's time is over.
 *   C3  write() goes through: what it returned has reached the host, and its errors are the host's. Pages that are cached
 *       take the new bytes, too. O_APPEND appends on the host.
 *   C4  Dirty pages come from shared mappings alone. They are written at msync(), fsync(), munmap(), the end of the
 *       process, and when memory is short.
 *   C5  O_DIRECT does not look at cached pages.
 *
 * An inode keeps one fid for its life, never opened, for names and attributes; each open file has one of its own. Two names
 * of one file (not of a directory) are one inode, found by qid.path.
 *
 * Locks: inode->lock > p9_inode.lock (a leaf); conn's are in conn.c. Nothing allocates memory between taking a tag and
 * the reply, so writeback works while memory is short.
 */
#ifndef FS_9P_IMPL_H
#define FS_9P_IMPL_H

#include "../fs_impl.h"
#include "abi/p9.h"
#include "base/bytes.h"
#include "kern/chardev.h"
#include "kern/msgdev.h"

#define P9_VALID_NS (100 * NSEC_PER_MSEC)
#define P9_OUT_BYTES 576u /* two names */
#define P9_IN_BYTES 192u  /* Rgetattr */
#define P9_TAGS 64u
#define P9_MSG_PAGES 64u /* the most that one Tread is for: they may lie anywhere */

/*
 * One request, on its maker's stack. Fields are put, it is sent, the reply's are got. Data is what stands behind the
 * fields: of Twrite to be sent, of Rread and Rreaddir to be received, without a copy.
 */
struct p9_req {
    u8 *out;
    u32 out_len, out_cap;
    const void *send_data;     /* of the direct map, as `data` and what replaces out_own or in_own */
    u32 send_len;
    u8 *in;
    u32 in_cap, in_len, in_pos;
    bool in_bad;
    bool takes_data;           /* count[4] and then data */
    void *data;                /* where to: memory, or pages */
    struct page **pages;
    u32 data_cap, data_len;
    bool done;                 /* release/acquire: the reply is in */
    int err;                   /* 0, or the server's, or -EIO */
    u16 tag;
    u8 out_own[P9_OUT_BYTES], in_own[P9_IN_BYTES];
};

struct p9_conn;

/* conn.c */
int p9_connect(struct chardev *port, struct p9_conn **ret);
void p9_disconnect(struct p9_conn *c);
u32 p9_io_bytes(const struct p9_conn *c); /* the most data of one message */
void p9_start(struct p9_req *r, u8 type);
void p9_put8(struct p9_req *r, u8 v);
void p9_put16(struct p9_req *r, u16 v);
void p9_put32(struct p9_req *r, u32 v);
void p9_put64(struct p9_req *r, u64 v);
void p9_put_bytes(struct p9_req *r, const char *s, u32 n); /* a string */
/* Fields that the reply does not have are 0 and make p9_ended() say -EIO. */
u8 p9_get8(struct p9_req *r);
u16 p9_get16(struct p9_req *r);
u32 p9_get32(struct p9_req *r);
u64 p9_get64(struct p9_req *r);
int p9_ended(const struct p9_req *r);
/* Send all, in order, and wait for all. Each has its own r->err; returns the first. */
int p9_call(struct p9_conn *c, struct p9_req *const *reqs, unsigned n);
static inline int p9_call_one(struct p9_conn *c, struct p9_req *r) { return p9_call(c, &r, 1); }
u32 p9_fid_new(struct p9_conn *c);               /* a number that is free */
void p9_fid_free(struct p9_conn *c, u32 fid);    /* the server does not know it */
void p9_fid_end(struct p9_conn *c, u32 fid, int walk_err); /* it knows it if the walk there did not fail */
void p9_clunk(struct p9_conn *c, u32 fid);       /* the server does; no waiting for the reply */

/* --- transports: how messages travel --------------------------------------------------- */

struct p9_trans_ops {
    /* In this order; sizes and tags are filled in. send_lock is held, and nothing is allocated. When it cannot, the thread calls p9_lost(). */
    void (*send)(void *own, struct p9_req *const *reqs, unsigned n);
    void (*thread)(void *own); /* until the host is gone or has broken a rule, or p9_disconnect(); then p9_lost(), p9_conn_put() */
    void (*done)(void *own);
};

struct p9_trans {
    const struct p9_trans_ops *ops; /* NULL = not open */
    void *own;
    struct chardev *port; /* hangs up when the server ends */
    u32 msize;
    unsigned tags;
};

int p9_stream_open(struct p9_trans *t, struct p9_conn *c, struct chardev *port);                    /* stream.c: over the port */
int p9_queue_open(struct p9_trans *t, struct p9_conn *c, struct msgdev *dev, struct chardev *port); /* queue.c: by a message device */
static inline bool p9_gone(const struct chardev *port) { return port->host_was_open && !atomic_load(&port->host_open); }

/* For transports, in this order. A reply with this head (P9_HEADER bytes) is whose? *ret is NULL for a clunk's, which is done then; else it
 * is the caller's to bring to its end. -EIO = nobody's. */
int p9_reply_of(struct p9_conn *c, const u8 *head, struct p9_req **ret);
/* r->in_len = how many of the `size` bytes behind the head are for r->in: 0, -EIO. */
int p9_reply_fields(struct p9_req *r, bool is_error, u32 size);
/* They are there, r->in_len of them: is the rest data as it should be? r->data_len, -EIO. */
int p9_reply_data(struct p9_req *r, u32 size);
/* err: what went wrong with the reply, or 0. */
void p9_reply_done(struct p9_conn *c, struct p9_req *r, bool is_error, int err);
void p9_lost(struct p9_conn *c); /* no reply will come any more; thread context */
void p9_conn_put(struct p9_conn *c);

/* --- the file system ----------------------------------------------------------------- */

struct p9_map { /* a host's number and the guest's that stand for each other */
    u32 host, guest;
};
static inline u32 p9_swap(const struct p9_map *m, u32 id)
{
    return id == m->host ? m->guest : id == m->guest ? m->host : id;
}

#define P9_BUCKETS 256u
struct p9_fs {
    struct p9_conn *conn;
    struct p9_map uid, gid;
    struct spinlock lock;            /* inodes */
    struct list inodes[P9_BUCKETS];  /* struct p9_inode, by path */
};

struct p9_open { /* an open file: file->private */
    struct list node;  /* p9_inode.opens */
    struct refcount refs;
    struct p9_conn *conn;
    u32 fid;
    bool can_read, can_write;
};

struct p9_names {
    u64 version;  /* as it came with attributes; 0 = names may change unseen */
    u64 since_ns; /* it was seen to be this one before */
    u32 misses;   /* lookups in vain since then */
    u32 mask;
    u32 *hashes;  /* a table of all names' (names.c); NULL = not fetched */
};

struct p9_inode {
    struct list node;        /* p9_fs.inodes; fs->lock */
    struct inode *inode;
    u32 fid;
    u64 path;
    u64 checked_ns;          /* when attributes came; 0 = not to be believed. inode->lock, read without */
    u64 host_mtime_ns, host_size; /* as they came; inode->lock */
    u64 blocks_512;
    u32 block_size;
    bool changed;            /* by us since attributes came; inode->lock */
    struct spinlock lock;    /* opens, spare_fid, link */
    struct list opens;       /* struct p9_open */
    u32 spare_fid;           /* opened for both by create(), for the open() that follows; P9_NOFID */
    char *link;              /* a symbolic link's text, once read */
    struct p9_names names;   /* of a directory; inode->lock */
};

struct p9_attr {
    u8 qid_type;
    u64 path;
    u32 mode, uid, gid, nlink, block_size;
    u64 rdev, size, blocks_512, atime_ns, mtime_ns, ctime_ns, btime_ns, version;
};

static inline struct p9_inode *p9_i(const struct inode *i) { return i->private; }
static inline struct p9_fs *p9_fs(const struct inode *i) { return i->sb->private; }
static inline struct p9_conn *p9_c(const struct inode *i) { return p9_fs(i)->conn; }
static inline bool p9_fresh(u64 checked_ns, u64 now_ns) { return checked_ns != 0 && now_ns - checked_ns < P9_VALID_NS; }

/* super.c */
/* The inode of a fid (which moves in, also on failure) and its attributes: the one that is there or a new one. */
int p9_inode_of(struct superblock *sb, u32 fid, const struct p9_attr *a, struct inode **ret);

/* inode.c */
extern const struct inode_ops p9_dir_ops, p9_file_inode_ops;
void p9_ask_attr(struct p9_req *r, u32 fid);
int p9_got_attr(struct p9_req *r, struct p9_attr *ret);
void p9_apply(struct inode *i, const struct p9_attr *a, u64 asked_ns); /* i->lock held, or nobody knows i yet */
int p9_refresh(struct inode *i);        /* i->lock held */
int p9_refresh_if_old(struct inode *i); /* i->lock not held */
bool p9_revalidate(struct dentry *d);

/* names.c; the directory's lock is held */
void p9_names_are(struct inode *dir, u64 version); /* attributes came with it */
bool p9_names_same(struct inode *dir, u64 since_ns); /* since a name was asked for? May ask the host for attributes. */
bool p9_names_lack(struct inode *dir, u32 hash);   /* no name has it? May ask the host, for all of them, too */
void p9_names_missed(struct inode *dir);           /* the host was asked for a name in vain */

/* file.c */
#define P9_DIR_BYTES (16u << 10)
struct p9_entry {
    u64 ino, next;
    u8 type;
    const char *name;
    u32 len;
};
/* Entries of an open directory from its place `pos` on into P9_DIR_BYTES of memory, *ret_n bytes of them: 0 = there are no more. */
int p9_read_dir(struct p9_conn *c, u32 fid, u64 pos, u8 *buf, u32 *ret_n);
/* The entry at *at of n bytes: 0, or -EIO. */
int p9_get_entry(const u8 *buf, u32 n, u32 *at, struct p9_entry *e);
int p9_open_fid(struct inode *i, u32 flags, u32 *ret_fid); /* and the attributes of this moment (C1). i->lock held */
extern const struct file_ops p9_file_ops, p9_dir_file_ops;
extern const struct mapping_ops p9_mapping_ops;
struct p9_open *p9_open_of(struct inode *i, bool for_writing); /* any; referenced, or NULL */
void p9_open_put(struct p9_open *o);
void p9_set_size(struct inode *i, u64 size); /* the host has cut or extended it; i->lock held */
/* Dirty pages to the host, then all pages away. i->lock held. */
void p9_forget_pages(struct inode *i);

/* xattr.c */
s64 p9_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int p9_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags);
s64 p9_listxattr(struct inode *i, char *buf, size_t size);
int p9_removexattr(struct inode *i, const char *name);

#endif
