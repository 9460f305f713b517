/* SPDX-License-Identifier: Apache-2.0 */
/* The sieve of an instance that cannot map it: see sieve.h. */
#include "host/tender/sieve.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "host/lib/util.h"
#include "host/net/tap.h"

int far_sieve_open(struct far_sieve *s, const char *tap, int map, struct control *control, struct error *err)
{
    const struct ctl_open open = {.channel = SIEVE_CHANNEL, .window = CTL_WINDOW_MAX, .name_len = sizeof(SIEVE_SERVICE) - 1};
    void *memory = mmap(NULL, SIEVE_MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (memory == MAP_FAILED)
        return err_errno(err, EXIT_DRUPE, "the memory of the sieve");
    *s = (struct far_sieve){.memory = memory, .tap = tap, .control = control, .in_allowed = open.window, .out_allowed = CTL_WINDOW};
    control_queue(control, CTL_OPEN, &open, sizeof(open), SIEVE_SERVICE, open.name_len);
    return 0;
}

void far_sieve_close(struct far_sieve *s)
{
    if (!s->memory)
        return;
    __atomic_store_n(&s->memory->asked, 0, __ATOMIC_RELEASE);
    munmap(TAKE_PTR(s->memory), SIEVE_MAP_BYTES);
}

/* --- from the kernel ------------------------------------------------------------------- */

static bool is_instances(const struct sieve_write *w)
{
    u64 end = (u64)w->at + w->len;
    return end <= offsetof(struct sieve, strangers) || (w->at >= offsetof(struct sieve, credit) && end <= sizeof(struct sieve));
}

/* The program looks at `asked` first: it comes last. */
static void write_words(struct sieve *s, const struct sieve_write *w, const char *bytes)
{
    u32 asked, skip = w->at == 0 && w->len >= sizeof(asked) ? sizeof(asked) : 0;
    memcpy((char *)s + w->at + skip, bytes + skip, w->len - skip);
    if (skip) {
        memcpy(&asked, bytes, sizeof(asked));
        __atomic_store_n(&s->asked, asked, __ATOMIC_RELEASE);
    }
}

static void tell_counts(struct far_sieve *s)
{
    const struct ctl_data head = {.channel = SIEVE_CHANNEL};
    struct sieve_counts c = {.lost = tap_dropped(s->tap)};
    for (unsigned k = 0; k < SIEVE_KINDS; k++)
        c.lost -= c.held[k] = __atomic_load_n(&s->memory->strangers[k].held, __ATOMIC_RELAXED);
    if (s->out_allowed - s->out_spent < CTL_PART_COST(sizeof(c))) /* it does not read: it need not know */
        return;
    s->out_spent += CTL_PART_COST(sizeof(c));
    control_queue(s->control, CTL_DATA, &head, sizeof(head), &c, sizeof(c));
}

static void renew_credit(struct far_sieve *s)
{
    if (s->in_spent + CTL_WINDOW_MAX < s->in_allowed + CTL_WINDOW_MAX / 2)
        return;
    const struct ctl_credit credit = {.channel = SIEVE_CHANNEL, .total = s->in_spent + CTL_WINDOW_MAX};
    if (control_queue(s->control, CTL_CREDIT, &credit, sizeof(credit), NULL, 0))
        s->in_allowed = credit.total;
}

static const char *take_writes(struct far_sieve *s, const char *bytes, u32 len)
{
    struct sieve_write w;
    bool asked = false;
    s->in_spent += CTL_PART_COST(len);
    if (len > CTL_PART_MAX || s->in_spent > s->in_allowed)
        return "the sieve's part that is too long or beyond its credit";
    for (u32 at = 0; at < len; at += w.len) {
        if (len - at < sizeof(w))
            return "a write to the sieve that is cut off";
        memcpy(&w, bytes + at, sizeof(w));
        if (w.len > len - at - sizeof(w) || !is_instances(&w))
            return "a write beyond the sieve";
        write_words(s->memory, &w, bytes + (at += (u32)sizeof(w)));
        asked |= at == sizeof(w) && w.at == 0;
    }
    if (asked)
        tell_counts(s);
    renew_credit(s);
    return NULL;
}

const char *far_sieve_message(struct far_sieve *s, u16 type, const void *payload, u32 len)
{
    union {
        struct ctl_data data;
        struct ctl_credit credit;
        struct ctl_close close;
    } m;
    u32 head = type == CTL_DATA ? sizeof(m.data) : type == CTL_CREDIT ? sizeof(m.credit) : sizeof(m.close);
    if (!s->memory) /* crossed our end of it */
        return NULL;
    if (type == CTL_OPEN || len < head)
        return "a message of the sieve that makes no sense";
    memcpy(&m, payload, head);
    if (type == CTL_DATA)
        return m.data.flags ? "a message of the sieve in several parts" : take_writes(s, (const char *)payload + head, len - head);
    if (type == CTL_CREDIT) {
        if (m.credit.total < s->out_allowed || m.credit.total > s->out_spent + CTL_WINDOW)
            return "a credit of the sieve that makes no sense";
        s->out_allowed = m.credit.total;
    } else {
        far_sieve_close(s);
        say("net: the kernel takes no sieve: %.*s", (int)(len - head), (const char *)payload + head);
    }
    return NULL;
}
