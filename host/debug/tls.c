/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread-local variables (qGetTLSAddr), for programs with the GNU C library: a module's block hangs in the thread's vector, which hangs in
 * the thread's control block ("ELF Handling For Thread-Local Storage", variant II). Where a module's number stands in ld.so's
 * structure is written in a symbol that the library has for debuggers; gdb is asked for it.
 */
#include <errno.h>
#include <string.h>

#include "host/debug/server_impl.h"

#define SYMBOL "_thread_db_link_map_l_tls_modid"
#define DTV_AT 8u           /* in the control block */
#define DTV_ENTRY_SIZE 16u
#define DTV_MAX (1u << 20)  /* modules */
#define NOT_ALLOCATED UINT64_MAX

void tls_symbol(struct server *s, const char *p)
{
    u64 value;
    if (strcmp(p, ":") == 0) { /* symbols may be asked for */
        buf_addf(&s->reply, "qSymbol:");
        rsp_add_hex(&s->reply, SYMBOL, sizeof(SYMBOL) - 1);
        return;
    }
    s->tls_symbol = rsp_number_to(&p, ':', &value) ? value : 0;
    buf_addf(&s->reply, "OK");
}

static int read_memory(struct server *s, u64 addr, void *ret, size_t len)
{
    return target_ask_for(&s->target, &(struct dbg_request){.op = DBG_READ, .addr = addr, .value = len}, ret, len);
}

/* 0 or -errno */
static int find(struct server *s, u64 fs_base, u64 offset, u64 link_map, u64 *ret)
{
    u32 field[3]; /* bits, count, offset in bytes */
    u64 module, dtv, block;
    int r = s->tls_symbol ? read_memory(s, s->tls_symbol, field, sizeof(field)) : -ENOENT;
    if (r == 0)
        r = field[0] == 64 ? read_memory(s, link_map + field[2], &module, sizeof(module)) : -ENOENT;
    if (r == 0)
        r = module > 0 && module < DTV_MAX ? read_memory(s, fs_base + DTV_AT, &dtv, sizeof(dtv)) : -ENOENT;
    if (r == 0)
        r = read_memory(s, dtv + module * DTV_ENTRY_SIZE, &block, sizeof(block));
    if (r == 0 && block == NOT_ALLOCATED)
        r = -ENODATA;
    if (r == 0)
        *ret = block + offset;
    return r;
}

int tls_address(struct server *s, const char *p, u64 fs_base, u64 *ret)
{
    u64 offset, link_map;
    return rsp_number_to(&p, ',', &offset) && rsp_number(&p, &link_map) ? find(s, fs_base, offset, link_map, ret) : -EINVAL;
}
