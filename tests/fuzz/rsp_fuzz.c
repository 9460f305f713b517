/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of gdb's remote protocol: framing, then what a packet holds. What is framed comes back the same. */
#include <string.h>

#include "host/debug/rsp.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check(bool good)
{
    if (!good)
        __builtin_trap();
}

static void frame_and_back(const u8 *data, size_t size)
{
    struct rsp r = {0};
    struct buf content = {0};
    rsp_frame(&r.in, data, size);
    check(rsp_next(&r, &content) == RSP_PACKET && content.len == size && memcmp(content.data, data, size) == 0);
    check(r.in.len == 0);
    buf_done(&content);
    buf_done(&r.in);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct rsp r = {0};
    struct buf content = {0};
    u8 bytes[64];
    u64 number;
    for (size_t at = 0; at < size;) { /* as it may come from a pipe: in pieces */
        size_t n = MIN(size - at, (size_t)(data[at] % 61 + 1));
        buf_add(&r.in, data + at, n);
        at += n;
        for (enum rsp_kind k; (k = rsp_next(&r, &content)) != RSP_MORE && k != RSP_BAD;) {
            const char *p = content.data ? content.data : "", *q = p;
            check(k != RSP_PACKET || content.data[content.len] == 0);
            rsp_hex(&q, bytes, sizeof(bytes));
            while (rsp_number_to(&p, ',', &number))
                ;
            check(!content.data || p <= content.data + content.len);
        }
    }
    if (size <= 1000)
        frame_and_back(data, size);
    buf_done(&content);
    buf_done(&r.in);
    return 0;
}
