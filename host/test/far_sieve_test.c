/* SPDX-License-Identifier: Apache-2.0 */
/* What the tender lets a machine's kernel do with the memory of its sieve: nothing but write what is the instance's. */
#include "host/tender/sieve.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/lib/fs.h"
#include "host/lib/util.h"

static int number, failed;
static struct far_sieve far;
static struct control control;

static void check(bool ok, const char *what)
{
    printf("%sok %d - %s\n", ok ? "" : "not ", ++number, what);
    failed |= !ok;
}

static void open_it(int map)
{
    struct error err;
    far_sieve_close(&far);
    control_done(&control);
    control = (struct control){0};
    check(far_sieve_open(&far, "lo", map, &control, &err) == 0, "a sieve");
    struct ctl_header h;
    memcpy(&h, control.out.data, sizeof(h));
    check(h.type == CTL_OPEN && control.out.len == sizeof(h) + h.len && h.len == sizeof(struct ctl_open) + strlen(SIEVE_SERVICE), "the kernel is asked for its service");
    buf_done(&control.out);
}

/* One part with a write of len bytes, said to be `said`. */
static const char *writes(u32 at, u32 said, u32 len, u8 byte, u32 flags)
{
    static struct {
        struct ctl_data d;
        struct sieve_write w;
        u8 bytes[2 * CTL_PART_MAX];
    } m;
    m.d = (struct ctl_data){SIEVE_CHANNEL, flags};
    m.w = (struct sieve_write){at, said};
    memset(m.bytes, byte, len);
    return far_sieve_message(&far, CTL_DATA, &m, (u32)(sizeof(m.d) + sizeof(m.w) + len));
}

static void good(void)
{
    const u32 words = offsetof(struct sieve, strangers), peers = offsetof(struct sieve, peers);
    far.memory->strangers[SIEVE_OTHER].held = 77;
    check(!writes(peers + 5, 1, 1, 0x10, 0) && far.memory->peers[5] == 0x10 && control.out.len == 0, "a peer, without an answer");
    check(!writes(0, words, words, 3, 0) && far.memory->asked == 0x03030303 && far.memory->sum6 == 0x0303030303030303, "the words");
    struct {
        struct ctl_header h;
        struct ctl_data d;
        struct sieve_counts c;
    } answer;
    check(control.out.len == sizeof(answer), "are answered");
    memcpy(&answer, control.out.data, sizeof(answer));
    check(answer.d.channel == SIEVE_CHANNEL && answer.c.held[SIEVE_OTHER] == 77 && answer.c.held[SIEVE_SYN] == 0, "with what was held");
    u32 end = sizeof(struct sieve);
    check(!writes(end - 1, 1, 1, 9, 0), "the last byte");
}

static void bad(int map)
{
    const u32 words = offsetof(struct sieve, strangers), peers = offsetof(struct sieve, peers), credit = offsetof(struct sieve, credit), end = sizeof(struct sieve);
    check(writes(words, 4, 4, 1, 0) != NULL && writes(words - 4, 8, 8, 1, 0) != NULL && writes(credit - 1, 1, 1, 1, 0) != NULL, "not what is the program's");
    check(writes(end, 1, 1, 1, 0) != NULL && writes(end - 4, 8, 8, 1, 0) != NULL && writes(UINT32_MAX, 2, 2, 1, 0) != NULL, "nor beyond it");
    check(writes(0, UINT32_MAX, 4, 1, 0) != NULL && writes(0, 5, 4, 1, 0) != NULL, "nor more than was said");
    check(writes(0, 4, 4 + sizeof(struct sieve_write) - 1, 0, 0) != NULL, "half a write");
    check(writes(0, 4, 4, 1, CTL_MORE) != NULL, "no parts");
    check(writes(peers, CTL_PART_MAX, CTL_PART_MAX, 1, 0) != NULL, "none that is too long");
    check(far.memory->strangers[SIEVE_OTHER].held == 77, "the program's are as they were");
    check(far_sieve_message(&far, CTL_OPEN, "", 0) != NULL && far_sieve_message(&far, CTL_DATA, "abc", 3) != NULL, "what is no message");
    struct ctl_credit much = {.total = UINT64_MAX};
    check(far_sieve_message(&far, CTL_CREDIT, &much, sizeof(much)) != NULL, "more credit than can be");
    open_it(map);
    unsigned answers = 0;
    const char *problem = NULL;
    for (unsigned i = 0; i < 10000 && !problem; i++) {
        problem = writes(0, 4, 4, 1, 0);
        answers += control.out.len != 0;
        buf_done(&control.out);
    }
    check(problem == NULL && answers >= CTL_WINDOW / CTL_PART_COST(sizeof(struct sieve_counts)) && answers < 2000, "who asks and reads nothing gets answers only as far as the credit goes");
    open_it(map);
    for (unsigned i = 0; i < 400 && !problem; i++) {
        problem = writes(peers, 8000, 8000, 1, 0);
        buf_done(&control.out); /* credit, which is of no use when it is not read */
    }
    check(problem == NULL, "a kernel that gets credit goes on");
    struct ctl_close close = {.error = 2};
    check(far_sieve_message(&far, CTL_CLOSE, &close, sizeof(close)) == NULL && far.memory == NULL, "a kernel without one");
    check(far_sieve_message(&far, CTL_DATA, "abcdefgh", 8) == NULL, "what crosses the end");
}

int main(void)
{
    static struct sieve zero;
    AUTO_CLOSE int map = memory_file("sieve", &zero, sizeof(zero));
    if (map < 0 || ftruncate(map, SIEVE_MAP_BYTES) < 0) {
        perror("memfd");
        return 1;
    }
    open_it(map);
    good();
    bad(map);
    control_done(&control);
    printf("1..%d\n", number);
    return failed;
}
