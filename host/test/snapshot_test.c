/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot of threads keeps, with a kernel that has as much to tell of each as the protocol lets it. The functions below stand in for the rest of the server. */
#include <stdio.h>
#include <string.h>

#include "host/debug/server_impl.h"

static unsigned count, failed;

static void check(bool good, const char *text)
{
    count++;
    failed += !good;
    printf("%s %u - %s\n", good ? "ok" : "not ok", count, text);
}

int target_ask(struct target *t, const struct dbg_request *q, const void *data, size_t len, struct buf *ret, u64 *ret_value)
{
    static const u8 bytes[DBG_DATA_MAX] = {1};
    (void)t, (void)data, (void)len, (void)ret_value;
    buf_add(ret, bytes, q->op == DBG_READ ? q->value : sizeof(bytes));
    return 0;
}

int server_load_regs(struct server *s, u32 tid)
{
    static const u64 stacks = 1ull << 32;
    memset(&s->regs, 0, sizeof(s->regs));
    s->regs.state[0] = (u8)tid;
    memcpy(s->regs.general + REGS_RSP_AT, &(u64){stacks * tid}, sizeof(u64));
    return 0;
}

void threads_list(struct server *s, struct buf *ret) { (void)s, (void)ret; }
void thread_resume(struct server *s, struct sthread *t, bool step, u8 signal) { (void)s, (void)t, (void)step, (void)signal; }

/* n threads whose vector registers have so many bytes; *ret_known: how many of them there are afterwards. The bytes kept */
static size_t snapshot(size_t n, u32 state, size_t most, size_t *ret_known)
{
    struct server *s = xalloc(sizeof(*s));
    struct regs regs;
    s->target.hello.state_size = state;
    s->threads = xalloc(n * sizeof(*s->threads));
    s->nthreads = n;
    for (size_t i = 0; i < n; i++)
        s->threads[i].tid = (u32)i + 1;
    snapshot_take(s, most);
    size_t size = snapshot_size(s->snapshot);
    *ret_known = 0;
    for (u32 tid = 1; tid <= n; tid++)
        *ret_known += snapshot_regs(s->snapshot, tid, &regs) && regs.state[0] == (u8)tid;
    snapshot_free(s->snapshot);
    free(s->threads);
    free(s);
    return size;
}

int main(void)
{
    size_t known, most = 1 << 20;
    size_t one = snapshot(1, 2696, most, &known);
    check(known == 1 && one > 65536 + 2696, "one thread: its registers, 64 KiB of its stack, the kernel's frames");
    check(snapshot(20, 2696, most, &known) <= most && known == 20, "twenty, whose stacks come in parts, take no more memory than that");
    check(snapshot(100, 2696, most, &known) <= most && known == 100, "a hundred share what there is");
    check(snapshot(300, 2696, most, &known) <= most && known == 300, "three hundred have little more than registers");
    check(snapshot(5000, DBG_DATA_MAX - 1, most, &known) <= most && known == 0, "registers that do not fit are not kept");
    printf("1..%u\n", count);
    return failed != 0;
}
