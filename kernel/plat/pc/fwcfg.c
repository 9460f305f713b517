/* SPDX-License-Identifier: Apache-2.0 */
/* Files that QEMU's user names (-fw_cfg; QEMU's docs/specs/fw_cfg.rst): a selector port, behind it the bytes of what is selected. */
#include "arch/cpu.h"
#include "base/bytes.h"
#include "base/str.h"
#include "pc.h"

#define KEY_DIRECTORY 0x19 /* a count, big-endian; then as many entries */
#define ENTRIES_MAX 4096u

struct fwcfg_entry {
    u8 size[4], key[2], reserved[2]; /* big-endian */
    char name[56];
};

size_t pc_fwcfg_read(u16 port, const char *name, void *buf, size_t size)
{
    struct fwcfg_entry e;
    u8 count[4];
    outw(port, KEY_DIRECTORY);
    insb(port + 1, count, sizeof count);
    for (u32 i = MIN(get_be32(count), ENTRIES_MAX); i > 0; i--) {
        insb(port + 1, &e, sizeof e);
        if (strncmp(e.name, name, sizeof e.name) != 0)
            continue;
        if (get_be32(e.size) > size)
            break;
        outw(port, get_be16(e.key));
        insb(port + 1, buf, get_be32(e.size));
        return get_be32(e.size);
    }
    return 0;
}
