/* SPDX-License-Identifier: Apache-2.0 */
/* An object file for tests, in libbpf's conventions: maps by BTF, variables, a function of its own, a ring buffer, trace_printk(). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct enter { /* Linux's struct trace_event_raw_sys_enter */
    unsigned long long common;
    long id;
    unsigned long args[6];
};
struct leave { /* Linux's struct trace_event_raw_sys_exit */
    unsigned long long common;
    long id;
    long ret;
};
struct event {
    int pid;
    unsigned size;
    char comm[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, int);
    __type(value, long);
} counts SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 65536);
} events SEC(".maps");

struct event *shown_as; /* so that its type is told */
long total;
int started = 7;
const volatile int shortest = 3;

static __attribute__((noinline)) long add(long *to, long n)
{
    *to += n;
    return *to;
}

SEC("tracepoint/syscalls/sys_exit_read")
int on_read(struct leave *c)
{
    int pid = bpf_get_current_pid_tgid() >> 32;
    long one = 1, *count = bpf_map_lookup_elem(&counts, &pid);
    if (count)
        add(count, 1);
    else
        bpf_map_update_elem(&counts, &pid, &one, BPF_ANY);
    add(&total, c->ret);
    if (c->ret < shortest) {
        struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
        if (e) {
            e->pid = pid;
            e->size = c->ret;
            bpf_get_current_comm(e->comm, sizeof(e->comm));
            bpf_ringbuf_submit(e, 0);
        }
    }
    return 0;
}

SEC("tp/syscalls/sys_enter_write")
int on_write(struct enter *c)
{
    started++;
    bpf_printk("write to %d, %d bytes", c->args[0], c->args[2]);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
