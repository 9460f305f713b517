/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS reader: see erofs.h.
 *
 *   superblock at 1024:  0 magic, 12 block bits, 14 root nid, 36 blocks, 40 meta block
 *   inode `nid` at meta block * block size + nid * 32; bit 0 of its format: 64 bytes
 *   instead of 32; bits 1..3: layout (0 plain, 2 plain with the tail behind the inode)
 *   directory block: entries of 12 bytes (nid, name offset, type), then the names
 */
#include "host/image/erofs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/checked.h"

#define EROFS_MAGIC 0xE0F5E1E2u
#define SUPER_OFFSET 1024
#define LAYOUT_PLAIN 0
#define LAYOUT_INLINE 2
#define MAX_DIR_BYTES (16u << 20)

struct image {
    int fd;
    const char *name;
    struct error *err;
    u64 size, block_size, meta_start, root_nid;
};

struct inode {
    u64 size, start, tail; /* start: of the plain blocks; tail: of the inline part */
    u32 mode;
    unsigned layout;
};

static int bad(struct image *im, const char *what)
{
    return err_set(im->err, EXIT_DRUPE, "%s: damaged image: %s", im->name, what);
}

static int read_at(struct image *im, u64 off, void *data, u64 len)
{
    if (!range_inside(off, len, im->size))
        return bad(im, "something lies outside the file");
    for (u64 done = 0; done < len;) {
        ssize_t n = pread(im->fd, (char *)data + done, len - done, (off_t)(off + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(im->err, EXIT_DRUPE, "%s: cannot read", im->name);
        done += (u64)n;
    }
    return 0;
}

bool erofs_is_image(int fd)
{
    u8 magic[4];
    return pread(fd, magic, 4, SUPER_OFFSET) == 4 && get_u32(magic) == EROFS_MAGIC;
}

static int open_image(struct image *im, int fd, const char *name, struct error *err)
{
    struct stat st;
    u8 sb[128];
    *im = (struct image){.fd = fd, .name = name, .err = err};
    if (fstat(fd, &st) < 0)
        return err_errno(err, EXIT_DRUPE, "%s", name);
    im->size = (u64)st.st_size;
    if (read_at(im, SUPER_OFFSET, sb, sizeof(sb)) < 0)
        return -1;
    if (get_u32(sb) != EROFS_MAGIC)
        return err_set(err, EXIT_DRUPE, "%s: not an EROFS image", name);
    if (sb[12] < 9 || sb[12] > 16)
        return bad(im, "block size");
    im->block_size = 1ull << sb[12];
    im->root_nid = get_u16(sb + 14);
    im->meta_start = get_u32(sb + 40) * im->block_size;
    if (!range_inside(0, get_u32(sb + 36) * im->block_size, im->size))
        return bad(im, "it is cut short");
    return 0;
}

int erofs_check(int fd, const char *name, struct error *err)
{
    struct image im;
    return open_image(&im, fd, name, err);
}

static int read_inode(struct image *im, u64 nid, struct inode *ret)
{
    u8 raw[64] = {0};
    u64 at;
    if (__builtin_mul_overflow(nid, 32, &at) || __builtin_add_overflow(at, im->meta_start, &at))
        return bad(im, "inode number");
    if (read_at(im, at, raw, 32) < 0)
        return -1;
    bool extended = raw[0] & 1;
    if (extended && read_at(im, at, raw, 64) < 0)
        return -1;
    unsigned xattrs = get_u16(raw + 2);
    *ret = (struct inode){.mode = get_u16(raw + 4), .layout = raw[0] >> 1 & 7};
    ret->size = extended ? get_u64(raw + 8) : get_u32(raw + 8);
    ret->start = get_u32(raw + 16) * im->block_size;
    ret->tail = at + (extended ? 64 : 32) + (xattrs ? 12 + (xattrs - 1) * 4 : 0);
    if (ret->layout != LAYOUT_PLAIN && ret->layout != LAYOUT_INLINE)
        return err_set(im->err, EXIT_DRUPE,
                       "%s: the image is compressed or chunked; Drupe reads plain ones (mkfs.erofs without -z)", im->name);
    return 0;
}

static int read_content(struct image *im, const struct inode *in, char *data)
{
    u64 plain = in->layout == LAYOUT_INLINE ? in->size - in->size % im->block_size : in->size;
    if (plain && read_at(im, in->start, data, plain) < 0)
        return -1;
    return plain < in->size ? read_at(im, in->tail, data + plain, in->size - plain) : 0;
}

/* 1 found, 0 not there, -1 damaged. */
static int search_block(struct image *im, const char *block, u64 len, const char *name, size_t name_len, u64 *ret_nid)
{
    unsigned first = len >= 12 ? get_u16(block + 8) : 0;
    if (first < 12 || first % 12 || first > len)
        return bad(im, "directory block");
    unsigned count = first / 12;
    for (unsigned i = 0; i < count; i++) {
        unsigned start = get_u16(block + i * 12 + 8);
        u64 end = i + 1 < count ? get_u16(block + (i + 1) * 12 + 8) : len;
        if (start < first || start > end || end > len)
            return bad(im, "directory entry");
        if (strnlen(block + start, end - start) == name_len && memcmp(block + start, name, name_len) == 0) {
            *ret_nid = get_u64(block + i * 12);
            return 1;
        }
    }
    return 0;
}

static int search_dir(struct image *im, const struct inode *dir, const char *name, size_t name_len, u64 *ret_nid)
{
    if (!S_ISDIR(dir->mode))
        return 0;
    if (dir->size > MAX_DIR_BYTES)
        return bad(im, "directory too long");
    AUTO_FREE char *data = xalloc(dir->size + 1);
    if (read_content(im, dir, data) < 0)
        return -1;
    for (u64 at = 0; at < dir->size; at += im->block_size) {
        int found = search_block(im, data + at, MIN(im->block_size, dir->size - at), name, name_len, ret_nid);
        if (found)
            return found;
    }
    return 0;
}

int erofs_read_file(int fd, const char *name, const char *path, size_t max_len, struct buf *ret, struct error *err)
{
    struct image im;
    struct inode in;
    if (open_image(&im, fd, name, err) < 0)
        return -1;
    u64 nid = im.root_nid;
    for (const char *p = path + strspn(path, "/");; p += strspn(p, "/")) {
        if (read_inode(&im, nid, &in) < 0)
            return -1;
        size_t len = strcspn(p, "/");
        if (!len)
            break;
        int found = search_dir(&im, &in, p, len, &nid);
        if (found <= 0)
            return found;
        p += len;
    }
    if (!S_ISREG(in.mode))
        return 0;
    if (in.size > max_len)
        return err_set(err, EXIT_DRUPE, "%s: %s is longer than %zu bytes", name, path, max_len);
    struct buf b = {.capacity = in.size + 1, .data = xalloc(in.size + 1), .len = in.size};
    if (read_content(&im, &in, b.data) < 0) {
        buf_done(&b);
        return -1;
    }
    *ret = b;
    return 1;
}
