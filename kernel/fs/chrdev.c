/* SPDX-License-Identifier: Apache-2.0 */
/* Character devices by number: who answers when a device node is opened. */
#include "fs_impl.h"

#define MAX_CHRDEVS 24

static struct {
    u64 rdev;
    const struct file_ops *fops;
    void *private;
} chrdevs[MAX_CHRDEVS]; /* dcache_lock */

int chrdev_register(u64 rdev, const struct file_ops *fops, void *private)
{
    int err = -ENOSPC;
    spin_lock(&dcache_lock);
    for (unsigned k = 0; k < MAX_CHRDEVS && err != 0; k++) {
        if (chrdevs[k].fops == NULL || chrdevs[k].rdev == rdev) {
            chrdevs[k].rdev = rdev;
            chrdevs[k].private = private;
            chrdevs[k].fops = fops;
            err = 0;
        }
    }
    spin_unlock(&dcache_lock);
    return err;
}

int chrdev_open(struct inode *i, struct file *f)
{
    f->ops = NULL;
    spin_lock(&dcache_lock);
    for (unsigned k = 0; k < MAX_CHRDEVS && chrdevs[k].fops != NULL; k++) {
        if (chrdevs[k].rdev == i->rdev) {
            f->ops = chrdevs[k].fops;
            f->private = chrdevs[k].private;
            break;
        }
    }
    spin_unlock(&dcache_lock);
    if (f->ops == NULL)
        return -ENXIO;
    return f->ops->open != NULL ? f->ops->open(i, f) : 0;
}
