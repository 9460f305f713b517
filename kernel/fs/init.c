/* SPDX-License-Identifier: Apache-2.0 */
/* Bring the file systems up. The root is mounted by whoever calls vfs_mount_root(). */
#include "fs_impl.h"

void vfs_init(void)
{
    dcache_init();
    inode_cache_init();
    files_init();
    mounts_init();
    epoll_init();
    mem_devices_init();
    tty_devices_init();
    procfs_init();
    fs_register(&overlay_type);
    fs_register(&erofs_type);
    fs_register(&tmpfs_type);
    fs_register(&devfs_type);
    fs_register(&procfs_type);
    sysfs_init();
    p9_init();
    pty_init();
}
