/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an EROFS image: mounted, walked (bounded in depth and count), and everything that can be read
 * is read. The superblock's magic number and block size are put right, its checksum is taken out,
 * so that the fuzzer need not guess them.
 */
#include "base/bytes.h"
#include "base/str.h"
#include "kern/blkdev.h"
#include "kern/core.h"
#include "kern/page.h"
#include "kern/slab.h"
#include "kern/vfs.h"
#include "sim/sim.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_MAX (1u << 20)
#define MAX_VISITS 400
#define MAX_DEPTH 8

static u8 image[IMAGE_MAX];
static unsigned visits;
static struct fs_ctx *fs;
static char buf[8192];

static int submit(struct blkdev *b, struct blk_req *r)
{
    u64 off = r->off_bytes;
    for (unsigned k = 0; k < r->nsegs; k++) {
        memcpy(phys_to_virt(r->segs[k].pa), image + off, r->segs[k].len_bytes);
        off += r->segs[k].len_bytes;
    }
    r->status = 0;
    r->done(r);
    return 0;
}

static const struct blkdev_ops ops = {.submit = submit};
static struct blkdev disk = {.name = "vda", .ops = &ops, .read_only = true};

struct names {
    struct dir_emit e;
    unsigned count, total;
    char name[40][NAME_MAX + 1];
};

static bool collect(struct dir_emit *e, const char *name, size_t len, u64 ino, u8 type, u64 next)
{
    struct names *n = container_of(e, struct names, e);
    if (len == 0 || len > NAME_MAX)
        abort();
    if (++n->total > IMAGE_MAX / 12)
        abort(); /* more entries than fit in the image */
    if (n->count < 40) {
        memcpy(n->name[n->count], name, len);
        n->name[n->count++][len] = 0;
    }
    return true;
}

static void visit(const struct path *p, unsigned depth)
{
    struct kstat st;
    struct file *f;
    if (++visits > MAX_VISITS || vfs_stat_path(p, &st) != 0)
        return;
    vfs_getxattr(p, &kernel_cred, "user.a", buf, sizeof(buf));
    vfs_listxattr(p, buf, sizeof(buf));
    vfs_readlink(p, buf, sizeof(buf));
    if ((!S_ISREG(st.mode) && !S_ISDIR(st.mode)) || vfs_open_path(p, O_RDONLY, &kernel_cred, &f) != 0)
        return;
    if (S_ISREG(st.mode)) {
        struct uio u;
        u64 at[3] = {0, st.size / 2, st.size > sizeof(buf) ? st.size - sizeof(buf) : 0};
        for (unsigned k = 0; k < 3; k++) {
            uio_kernel(&u, buf, sizeof(buf));
            s64 n = vfs_read(f, &u, &at[k]);
            if (n > (s64)sizeof(buf))
                abort();
        }
    } else if (depth < MAX_DEPTH) {
        struct names *n = calloc(1, sizeof(*n));
        n->e.emit = collect;
        vfs_iterate(f, &n->e);
        struct lookup l = {.fs = fs, .cred = &kernel_cred, .at = p};
        for (unsigned k = 0; k < n->count; k++) {
            struct path q;
            if (strcmp(n->name[k], "..") == 0 || vfs_lookup(&l, n->name[k], LOOKUP_NOFOLLOW, &q) != 0)
                continue;
            visit(&q, depth + 1);
            path_put(&q);
        }
        free(n);
    }
    file_put(f);
}

static void one(void *arg)
{
    static bool ready;
    if (!ready) {
        pagecache_init();
        vfs_init();
        blkdev_register(&disk);
        if (vfs_mount_root("tmpfs", "none", 0, NULL) != 0 || (fs = fs_ctx_create()) == NULL)
            abort();
        struct lookup l = {.fs = fs, .cred = &kernel_cred};
        if (vfs_mkdir(&l, "/m", 0755) != 0)
            abort();
        ready = true;
    }
    struct lookup l = {.fs = fs, .cred = &kernel_cred};
    struct path p;
    if (vfs_mount(&l, "erofs", "vda", "/m", MS_RDONLY, NULL) != 0)
        return;
    visits = 0;
    if (vfs_lookup(&l, "/m", 0, &p) == 0) {
        visit(&p, 0);
        path_put(&p);
    }
    if (vfs_umount(&l, "/m", 0) != 0)
        abort(); /* something still holds it: a leak */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1152 || size > IMAGE_MAX)
        return 0;
    sim_init_once(NULL);
    memcpy(image, data, size);
    memset(image + size, 0, ALIGN_UP(size, 512u) - size);
    put_u32(image + 1024, 0xe0f5e1e2u);
    put_u32(image + 1024 + 8, get_u32(image + 1024 + 8) & ~1u);
    if (image[1036] < 9 || image[1036] > 12)
        image[1036] = 12;
    image[1024 + 90] = 0;
    put_u32(image + 1024 + 80, get_u32(image + 1024 + 80) & 5u);
    put_u32(image + 1024 + 36, 0); /* the device bounds it */
    disk.size_bytes = ALIGN_UP(size, 512u);
    sim_run(one, NULL);
    return 0;
}
