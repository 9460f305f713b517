/* SPDX-License-Identifier: Apache-2.0 */
/* What programs may call: Linux's helpers by their numbers. All run with events disabled and wait for nothing (B2, B3 in kern/bpf.h). */
#include "bpf_impl.h"

#include "base/fmt.h"
#include "base/str.h"
#include "kern/kprobe.h"
#include "kern/thread.h"
#include "kern/uaccess.h"
#include "stack.h"

#define TEXT_MAX 512u  /* of one trace_printk() */
#define STRING_MAX 128u
#define CURRENT_CPU UINT32_MAX /* BPF_F_CURRENT_CPU */

static struct bpf_map *map_of(u64 r) { return (struct bpf_map *)(uintptr_t)r; }
static void *ptr(u64 r) { return (void *)(uintptr_t)r; }

/* --- maps ------------------------------------------------------------------------------------ */

static u64 h_map_lookup(u64 map, u64 key, u64 r3, u64 r4, u64 r5) { return (u64)(uintptr_t)map_lookup(map_of(map), ptr(key)); }

static u64 h_map_update(u64 map, u64 key, u64 value, u64 flags, u64 r5)
{
    struct bpf_map *m = map_of(map);
    if (flags > UPDATE_EXIST)
        return (u64)-EINVAL;
    return (u64)m->ops->update(m, ptr(key), ptr(value), (u32)flags, m->copies > 1 ? this_cpu()->cpu : 0, false);
}

static u64 h_map_delete(u64 map, u64 key, u64 r3, u64 r4, u64 r5) { return (u64)map_of(map)->ops->remove(map_of(map), ptr(key)); }

/* --- memory of programs and the kernel ------------------------------------------------------------ */

/* As many bytes as there are, up to n. */
static u64 read_some(void *dst, u64 address, u64 n, bool user, bool kernel)
{
    u64 got = 0;
    uaccess_nofault_begin();
    if (address < PLAT_USER_MAX && user && current_thread()->as != NULL)
        got = copy_from_user_partial(dst, address, n);
    else if (address >= PLAT_USER_MAX && kernel && plat_kernel_readable(address, n))
        got = n - arch_copy_user(dst, ptr(address), n);
    uaccess_nofault_end();
    return got;
}

static s64 read_bytes(u64 dst, u64 n, u64 address, bool user, bool kernel)
{
    if (read_some(ptr(dst), address, n, user, kernel) == n)
        return 0;
    memset(ptr(dst), 0, n);
    return -EFAULT;
}

/* Its length with the end; behind that the buffer is 0. */
static s64 read_string(u64 dst, u64 size, u64 address, bool user, bool kernel)
{
    char *to = ptr(dst);
    if (size == 0)
        return -EINVAL;
    u64 got = 0, len = 0;
    do { /* a string may end close to where memory does */
        u64 n = MIN(size - got, PAGE_SIZE - (address + got) % PAGE_SIZE), more = read_some(to + got, address + got, n, user, kernel);
        got += more;
        len += strnlen(to + len, got - len);
        if (more < n)
            break;
    } while (len == got && got < size);
    if (len == got && got < size) {
        memset(to, 0, size);
        return -EFAULT;
    }
    len = MIN(len, size - 1);
    memset(to + len, 0, size - len);
    return (s64)len + 1;
}

static u64 h_probe_read(u64 dst, u64 n, u64 from, u64 r4, u64 r5) { return (u64)read_bytes(dst, n, from, true, true); }
static u64 h_probe_read_user(u64 dst, u64 n, u64 from, u64 r4, u64 r5) { return (u64)read_bytes(dst, n, from, true, false); }
static u64 h_probe_read_kernel(u64 dst, u64 n, u64 from, u64 r4, u64 r5) { return (u64)read_bytes(dst, n, from, false, true); }
static u64 h_probe_read_str(u64 dst, u64 n, u64 from, u64 r4, u64 r5) { return (u64)read_string(dst, n, from, true, true); }
static u64 h_probe_read_user_str(u64 dst, u64 n, u64 from, u64 r4, u64 r5) { return (u64)read_string(dst, n, from, true, false); }
static u64 h_probe_read_kernel_str(u64 dst, u64 n, u64 from, u64 r4, u64 r5) { return (u64)read_string(dst, n, from, false, true); }

/* --- who, where, when -------------------------------------------------------------------------------- */

static u64 h_ktime(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) { return now_ns(); }
static u64 h_processor(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) { return this_cpu()->cpu; }

static u64 h_random(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)
{
    u64 *x = &bpf_this_cpu()->random; /* xorshift64* (Marsaglia, Vigna) */
    *x ^= *x >> 12;
    *x ^= *x << 25;
    *x ^= *x >> 27;
    return (*x * 0x2545f4914f6cdd1dull) >> 32;
}

static u64 h_pid_tgid(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)
{
    u32 pid = 0, tid = 0;
    if (trace_who != NULL)
        trace_who(&pid, &tid);
    return (u64)pid << 32 | tid;
}

static u64 h_uid_gid(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) { return bpf_personality != NULL ? bpf_personality->uid_gid() : 0; }

static u64 h_comm(u64 buf, u64 size, u64 r3, u64 r4, u64 r5)
{
    const char *name = current_thread()->name;
    u64 len = MIN(strnlen(name, sizeof(current_thread()->name)), size - 1);
    memset(ptr(buf), 0, size);
    memcpy(ptr(buf), name, len);
    return 0;
}

/* --- output --------------------------------------------------------------------------------------------- */

static s64 put(struct bpf_ring *r, u64 data, u64 size)
{
    void *to = size <= RING_RECORD_MAX ? ring_reserve(r, (u32)size) : NULL;
    if (to == NULL)
        return size <= RING_RECORD_MAX ? -ENOSPC : -E2BIG;
    if (size != 0) /* of nothing the address may be NULL */
        memcpy(to, ptr(data), size);
    ring_finish(to, true);
    return 0;
}

static u64 h_perf_output(u64 ctx, u64 map, u64 flags, u64 data, u64 size)
{
    u32 cpu = this_cpu()->cpu;
    if (flags != CURRENT_CPU && flags != cpu)
        return (u64)(flags > UINT32_MAX ? -EINVAL : -EOPNOTSUPP);
    return (u64)put(&map_of(map)->rings[cpu], data, size);
}

static u64 h_ring_output(u64 map, u64 data, u64 size, u64 flags, u64 r5)
{
    return flags > 3 ? (u64)-EINVAL : (u64)put(&map_of(map)->rings[0], data, size); /* BPF_RB_NO_WAKEUP, FORCE_WAKEUP: nobody is woken */
}

static u64 h_ring_reserve(u64 map, u64 size, u64 flags, u64 r4, u64 r5)
{
    return flags != 0 ? 0 : (u64)(uintptr_t)ring_reserve(&map_of(map)->rings[0], (u32)size);
}

static u64 h_ring_submit(u64 data, u64 flags, u64 r3, u64 r4, u64 r5)
{
    ring_finish(ptr(data), true);
    return 0;
}

static u64 h_ring_discard(u64 data, u64 flags, u64 r3, u64 r4, u64 r5)
{
    ring_finish(ptr(data), false);
    return 0;
}

/* One conversion from `format` on, behind its %: how long it is; 0: not one. */
static u32 one_conversion(const char *format, u32 len, u64 value, char *out, u32 size)
{
    char spec[16] = "%", text[STRING_MAX];
    u32 n = 0, longs = 0;
    for (; n < len && n < 8 && strchr("0123456789.-+# ", format[n]) != NULL; n++)
        spec[1 + n] = format[n];
    char *end = spec + 1 + n;
    for (; n < len && format[n] == 'l'; n++)
        longs++;
    char c = n < len ? format[n] : '\0';
    u64 narrow = c == 'd' || c == 'i' ? (u64)(s64)(s32)value : (u32)value;
    switch (c) {
    case 'd': case 'i': case 'u': case 'x': case 'X':
        memcpy(end, (const char[]){ 'l', 'l', c }, 3);
        fmt_snprintf(out, size, spec, longs > 0 ? value : narrow);
        break;
    case 'c':
        fmt_snprintf(out, size, "%c", (int)(value & 0xff));
        break;
    case 'p':
        fmt_snprintf(out, size, "%#llx", (unsigned long long)value);
        break;
    case 's':
        *end = 's';
        fmt_snprintf(out, size, spec, read_string((u64)(uintptr_t)text, sizeof(text), value, true, true) > 0 ? text : "(fault)");
        break;
    default:
        return 0;
    }
    return n + 1;
}

/* The text's length, or -EINVAL. */
static s64 format_text(char *out, const char *format, u64 size, const u64 *args)
{
    u32 n = 0, arg = 0, len = (u32)strnlen(format, size);
    for (u32 at = 0; at < len && n < TEXT_MAX - 1; at++) {
        if (format[at] != '%' || (at + 1 < len && format[at + 1] == '%')) {
            out[n++] = format[at];
            at += format[at] == '%';
            continue;
        }
        u32 used = arg < 3 ? one_conversion(format + at + 1, len - at - 1, args[arg++], out + n, TEXT_MAX - n) : 0;
        if (used == 0)
            return -EINVAL;
        n += (u32)strnlen(out + n, TEXT_MAX - n);
        at += used;
    }
    return n;
}

static u64 h_printk(u64 format, u64 size, u64 a, u64 b, u64 c)
{
    char *text = (char *)bpf_this_cpu()->scratch, *copy = text + TEXT_MAX; /* what lies in a map may change while it is looked at */
    size = MIN(size, (u64)TEXT_MAX);
    memcpy(copy, ptr(format), size);
    s64 n = format_text(text, copy, size, (const u64[]){ a, b, c });
    s64 err = n < 0 ? n : put(session_print_ring(bpf_this_cpu()->program->session), (u64)(uintptr_t)text, (u64)n);
    return (u64)(err < 0 ? err : n);
}

/* --- stacks ------------------------------------------------------------------------------------------------ */

#define STACK_SKIP 0xffu
#define STACK_USER 0x100u

static u32 stack_of_kernel(const u64 *frame, u64 *ret, u32 max)
{
    u32 n = arch_walk_frames(frame, current_thread()->kstack, ret, max);
    for (u32 i = 0; i < n; i++, frame = (const u64 *)(uintptr_t)frame[0])
        ret[i] = kprobe_true_return(frame, ret[i]);
    return n;
}

/* Frames behind those to skip, in the CPU's scratch. */
static u32 take_stack(u64 flags, u64 **ret)
{
    struct bpf_cpu *cpu = bpf_this_cpu();
    u64 *frames = (u64 *)cpu->scratch;
    u32 skip = flags & STACK_SKIP, n;
    n = (flags & STACK_USER) != 0 ? stack_of_program(cpu->caller, frames, BPFD_FRAMES_MAX)
                                  : stack_of_kernel(cpu->frame, frames, BPFD_FRAMES_MAX);
    *ret = frames + MIN(skip, n);
    return n - MIN(skip, n);
}

static u64 h_stackid(u64 ctx, u64 map, u64 flags, u64 r4, u64 r5)
{
    u64 *frames;
    if ((flags & ~0x7ffull) != 0)
        return (u64)-EINVAL;
    u32 n = take_stack(flags, &frames);
    return (u64)stacks_add(map_of(map), frames, n, flags);
}

static u64 h_stack(u64 ctx, u64 buf, u64 size, u64 flags, u64 r5)
{
    u64 *frames;
    if (size == 0)
        return 0;
    if ((flags & ~0x1ffull) != 0 || size % 8 != 0) {
        memset(ptr(buf), 0, size);
        return (u64)-EINVAL;
    }
    u64 bytes = MIN(take_stack(flags, &frames) * 8ull, size);
    memcpy(ptr(buf), frames, bytes);
    memset((u8 *)ptr(buf) + bytes, 0, size - bytes);
    return bytes;
}

/* --- the list --------------------------------------------------------------------------------------------------- */

#define TYPE(t) (1ull << (t))
#define HASHES (TYPE(MAP_HASH) | TYPE(MAP_PERCPU_HASH) | TYPE(MAP_LRU_HASH) | TYPE(MAP_LRU_PERCPU_HASH))
#define VALUES (HASHES | TYPE(MAP_ARRAY) | TYPE(MAP_PERCPU_ARRAY))

static const struct helper helpers[] = {
    { HELPER_MAP_LOOKUP, RET_VALUE_OR_NULL, { ARG_MAP, ARG_KEY }, VALUES, h_map_lookup, "map_lookup_elem" },
    { 2, RET_NUMBER, { ARG_MAP_CHANGED, ARG_KEY, ARG_VALUE, ARG_ANY }, VALUES, h_map_update, "map_update_elem" },
    { 3, RET_NUMBER, { ARG_MAP_CHANGED, ARG_KEY }, VALUES | TYPE(MAP_STACKS), h_map_delete, "map_delete_elem" },
    { 4, RET_NUMBER, { ARG_MEM_OUT, ARG_SIZE_OR_0, ARG_ADDRESS }, 0, h_probe_read, "probe_read" },
    { 5, RET_NUMBER, { ARG_NONE }, 0, h_ktime, "ktime_get_ns" },
    { HELPER_TRACE_PRINTK, RET_NUMBER, { ARG_MEM, ARG_SIZE, ARG_PRINTED, ARG_PRINTED, ARG_PRINTED }, 0, h_printk, "trace_printk" },
    { 7, RET_NUMBER, { ARG_NONE }, 0, h_random, "get_prandom_u32" },
    { 8, RET_NUMBER, { ARG_NONE }, 0, h_processor, "get_smp_processor_id" },
    { 14, RET_NUMBER, { ARG_NONE }, 0, h_pid_tgid, "get_current_pid_tgid" },
    { 15, RET_NUMBER, { ARG_NONE }, 0, h_uid_gid, "get_current_uid_gid" },
    { 16, RET_NUMBER, { ARG_MEM_OUT, ARG_SIZE }, 0, h_comm, "get_current_comm" },
    { 25, RET_NUMBER, { ARG_CTX, ARG_MAP, ARG_ANY, ARG_MEM, ARG_SIZE_OR_0 }, TYPE(MAP_PERF), h_perf_output, "perf_event_output" },
    { 27, RET_NUMBER, { ARG_CTX, ARG_MAP, ARG_ANY }, TYPE(MAP_STACKS), h_stackid, "get_stackid" },
    { 45, RET_NUMBER, { ARG_MEM_OUT, ARG_SIZE_OR_0, ARG_ADDRESS }, 0, h_probe_read_str, "probe_read_str" },
    { 67, RET_NUMBER, { ARG_CTX, ARG_MEM_OUT, ARG_SIZE_OR_0, ARG_ANY }, 0, h_stack, "get_stack" },
    { 112, RET_NUMBER, { ARG_MEM_OUT, ARG_SIZE_OR_0, ARG_ADDRESS }, 0, h_probe_read_user, "probe_read_user" },
    { 113, RET_NUMBER, { ARG_MEM_OUT, ARG_SIZE_OR_0, ARG_ADDRESS }, 0, h_probe_read_kernel, "probe_read_kernel" },
    { 114, RET_NUMBER, { ARG_MEM_OUT, ARG_SIZE_OR_0, ARG_ADDRESS }, 0, h_probe_read_user_str, "probe_read_user_str" },
    { 115, RET_NUMBER, { ARG_MEM_OUT, ARG_SIZE_OR_0, ARG_ADDRESS }, 0, h_probe_read_kernel_str, "probe_read_kernel_str" },
    { 125, RET_NUMBER, { ARG_NONE }, 0, h_ktime, "ktime_get_boot_ns" },
    { 130, RET_NUMBER, { ARG_MAP, ARG_MEM, ARG_SIZE_OR_0, ARG_ANY }, TYPE(MAP_RINGBUF), h_ring_output, "ringbuf_output" },
    { 131, RET_RECORD_OR_NULL, { ARG_MAP, ARG_CONST_SIZE, ARG_ANY }, TYPE(MAP_RINGBUF), h_ring_reserve, "ringbuf_reserve" },
    { 132, RET_NUMBER, { ARG_RECORD, ARG_ANY }, 0, h_ring_submit, "ringbuf_submit" },
    { 133, RET_NUMBER, { ARG_RECORD, ARG_ANY }, 0, h_ring_discard, "ringbuf_discard" },
};

const struct helper *helper_find(s32 number)
{
    for (unsigned i = 0; i < ARRAY_SIZE(helpers); i++)
        if (helpers[i].number == number)
            return &helpers[i];
    return NULL;
}

bpf_helper_fn *bpf_helper(s32 number)
{
    const struct helper *h = helper_find(number);
    return h != NULL ? h->fn : NULL;
}
