/* SPDX-License-Identifier: Apache-2.0 */
/* Any call with any arguments and any pieces of memory, as a hostile kernel could send them to drupe strace: what is printed is bounded. */
#include <stdlib.h>
#include <string.h>

#include "host/trace/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct {
        u16 nr, entry_len;
        u32 has_exited;
        s64 result;
        u64 args[6];
    } head;
    if (size < sizeof(head))
        return 0;
    memcpy(&head, data, sizeof(head));
    data += sizeof(head);
    size -= sizeof(head);
    size_t first = MIN(head.entry_len, size);
    u8 *entry = malloc(first + 1), *exit = malloc(size - first + 1); /* of their own, so that reading beyond them shows */
    memcpy(entry, data, first);
    memcpy(exit, data + first, size - first);
    struct call c = {.nr = head.nr % 500, .entry = {entry, first}, .has_exited = head.has_exited & 1, .result = head.result, .string_max = 32};
    if (c.has_exited)
        c.exit = (struct pieces){exit, size - first};
    memcpy(c.args, head.args, sizeof(c.args));
    struct buf out = {0};
    add_call_name(&out, c.nr);
    unsigned next = add_args(&out, &c, 0);
    if (c.has_exited && next != call_arg_count(c.nr))
        abort();
    if (c.has_exited)
        add_result(&out, &c);
    if (out.len > 64 * (size + 4096))
        abort();
    buf_done(&out);
    free(entry);
    free(exit);
    return 0;
}
