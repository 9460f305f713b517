/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's service "bpf": eBPF programs that look at a running instance. Its argument is a struct bpfd_open. Little-endian.
 * Programs, maps, helper functions and their flags have Linux's formats and numbers (linux/bpf.h); here is only how they get in
 * and what comes out. All that a conversation made goes with it.
 *
 *   client                                     kernel
 *                                              BPFD_HELLO
 *   BPFD_MAP_CREATE map 0 (hash)               BPFD_REPLY
 *   BPFD_LOAD       program 0, uses map 0      BPFD_REPLY   or error, instruction and the verifier's reason
 *   BPFD_ATTACH     program 0, a tracepoint    BPFD_REPLY   value: number of the attachment
 *                                              BPFD_OUTPUT  whenever there is some
 *   BPFD_MAP_DUMP   map 0                      BPFD_REPLY   keys and values
 *
 *   - A message of the channel is one struct bpfd_head, then what its type says, then bytes. At most BPFD_MESSAGE_MAX; a longer one, or
 *     one that is cut short, ends the conversation. Every request has one reply, in order, with the request's tag.
 *   - Maps and programs have numbers that the client chooses, from 0 on, each below its maximum.
 *   - Instructions refer to maps as to file descriptors: BPF_LD_IMM64 with src_reg = BPF_PSEUDO_MAP_FD (1), imm = the map's number; or
 *     BPF_PSEUDO_MAP_VALUE (2), imm = number, imm of the second half = offset in the value (array maps). Calls between
 *     functions of a program have src_reg = BPF_PSEUDO_CALL (1) and all functions in one program, the entry first. No other
 *     relocations are left.
 *   - Output of ring buffers, perf_event_output() and trace_printk() comes by itself, within some 5 ms, in BPFD_OUTPUT.
 *
 * Contexts: what a program's r1 points to; it may read, not write, and only as here (any aligned part of a field).
 *
 *   BPFD_CTX_POINT       struct bpfd_point_ctx       tracepoints
 *   BPFD_CTX_CALL_ENTRY  struct bpfd_call_entry_ctx  system calls, before they are made: begins as Linux's struct trace_event_raw_sys_enter
 *   BPFD_CTX_CALL_EXIT   struct bpfd_call_exit_ctx   and when they have returned: begins as Linux's struct trace_event_raw_sys_exit
 *   BPFD_CTX_REGS        struct bpfd_regs_ctx        functions and timers: begins as Linux's struct pt_regs; then as struct bpf_perf_event_data
 *
 * Names begin with BPFD, so that a file may have linux/bpf.h, too.
 */
#ifndef ABI_BPF_H
#define ABI_BPF_H

#include <stdint.h>

#define BPFD_VERSION 1u
#define BPFD_MAPS_MAX 64u
#define BPFD_PROGRAMS_MAX 128u
#define BPFD_ATTACHES_MAX 1024u
#define BPFD_INSNS_MAX 8192u        /* of a program, its functions together */
#define BPFD_MESSAGE_MAX (128u << 10)
#define BPFD_DATA_MAX 32768u        /* of one reply; of the records of one BPFD_OUTPUT */
#define BPFD_KEY_MAX 512u
#define BPFD_VALUE_MAX 16384u       /* of one CPU; with all CPUs a value must fit into a reply */
#define BPFD_MEMORY_MAX (64u << 20) /* all maps of a conversation, and never more than an eighth of free memory */
#define BPFD_FIELDS_MAX 6u
#define BPFD_FRAMES_MAX 127u        /* of a stack trace */
#define BPFD_HZ_MAX 10000u
#define BPFD_PATH_MAX 1023u         /* bytes */

enum bpfd_type {
    /* client -> kernel; -> value and data of the reply */
    BPFD_MAP_CREATE = 1, /* struct bpfd_map_create */
    BPFD_MAP_LOOKUP,     /* struct bpfd_map_op, key -> value; -ENOENT. Per-CPU maps: of every CPU, each padded to 8 */
    BPFD_MAP_UPDATE,     /* struct bpfd_map_op (flags: BPF_ANY 0, BPF_NOEXIST 1, BPF_EXIST 2), key, value as lookup tells it */
    BPFD_MAP_DELETE,     /* struct bpfd_map_op, key; -ENOENT */
    BPFD_MAP_DUMP,       /* struct bpfd_map_op (cursor 0: from the start) -> value: next cursor, 0: that was all; data: keys and values, each padded to 8 */
    BPFD_MAP_CLEAR,      /* struct bpfd_map_op: delete all; arrays: zero all */
    BPFD_LOAD,           /* struct bpfd_load, instructions -> value: 1 compiled to machine code, 0 interpreted. Refused: error, insn, data: the reason as text */
    BPFD_ATTACH,         /* struct bpfd_attach, for a function of a file its path -> value: its number. Data of an error: the reason as text */
    BPFD_DETACH,         /* struct bpfd_number: attachment; when it is answered, no run of it is left */
    BPFD_RUN,            /* struct bpfd_number: program; the context from its begin on, what is missing is 0 -> value: what it returned */
    BPFD_STATS,          /* struct bpfd_number: program -> struct bpfd_stats */
    BPFD_POINTS,         /* -> text, a line for each tracepoint: "number group:event types fields": a letter for each field's type (u s64 d, unsigned u,
                            hex x, string s), names of the fields with commas between */
    BPFD_SYMBOL,         /* struct bpfd_symbol; with address 0 a name -> value: the kernel function's address; else data: "name+0x1f" of a kernel address */
    BPFD_AREAS,          /* struct bpfd_number: process -> value: bytes of its /proc/PID/maps, to name its addresses; data: those from the offset on; -ESRCH */
    BPFD_FLUSH,          /* answered when everything written to buffers before has been sent */
    BPFD_BEGIN,          /* an instance that waits for whoever traces it (drupe.trace=wait) begins now */
    /* kernel -> client */
    BPFD_HELLO = 64,     /* struct bpfd_hello */
    BPFD_REPLY,          /* struct bpfd_reply, data */
    BPFD_OUTPUT,         /* struct bpfd_record, data, padded to 8; one or more */
    BPFD_END,            /* the program has ended, all output was sent; requests are answered until the client leaves, for two seconds at most */
};

struct bpfd_open {
    uint32_t version; /* BPFD_VERSION */
    uint32_t flags;   /* BPFD_INTERPRET: do not compile */
};
#define BPFD_INTERPRET 1u

struct bpfd_head {
    uint32_t type; /* enum bpfd_type */
    uint32_t tag;  /* the client's; 0 of what was not asked for */
};

struct bpfd_hello {
    uint32_t version, cpus;
    uint64_t realtime_ns; /* of monotonic_ns, which is what ktime_get_ns() tells */
    uint64_t monotonic_ns;
};

struct bpfd_reply {
    int32_t error; /* 0, or -errno of Linux */
    uint32_t insn; /* BPFD_LOAD: where it was refused */
    uint64_t value;
};

/* --- maps --- */

/* BPF_MAP_TYPE_* that there are: HASH 1, ARRAY 2, PERF_EVENT_ARRAY 4, PERCPU_HASH 5, PERCPU_ARRAY 6, STACK_TRACE 7, LRU_HASH 9,
 * LRU_PERCPU_HASH 10, RINGBUF 27. All memory is taken at the start. */
struct bpfd_map_create {
    uint32_t map, type;
    uint32_t key_size, value_size; /* as Linux wants them: ring buffers 0 and 0; stack traces 4, and 8 for each frame, at most BPFD_FRAMES_MAX; perf event arrays 4 and 4 */
    uint32_t max_entries;          /* ring buffers: bytes, a power of two, at least 4096. Perf event arrays: as Linux, not looked at */
    uint32_t flags;                /* BPF_F_NO_PREALLOC 1 and BPF_F_NO_COMMON_LRU 2 change nothing; BPF_F_RDONLY_PROG 0x80: programs do not write it */
    uint32_t buffer_bytes;         /* perf event arrays: of each CPU's buffer, a power of two, at least 4096; 0: 65536. Else 0 */
    char name[16];                 /* NUL-padded; this kernel does not look at it */
};

struct bpfd_map_op {
    uint32_t map, flags;
    uint64_t cursor; /* dump: elements that come or go meanwhile may be told or not; none is told twice that stays */
};

/* --- programs --- */

enum bpfd_ctx { BPFD_CTX_POINT = 1, BPFD_CTX_CALL_ENTRY, BPFD_CTX_CALL_EXIT, BPFD_CTX_REGS };

struct bpfd_load { /* then insn_count instructions, struct bpf_insn */
    uint32_t program, ctx; /* enum bpfd_ctx: what it may be attached to */
    uint32_t insn_count;
    uint32_t flags;        /* 0 */
    char name[16];         /* NUL-padded; this kernel does not look at it */
};

struct bpfd_number {
    uint32_t number;
    uint32_t offset; /* BPFD_AREAS: of the text; else 0 */
};

struct bpfd_stats {
    uint64_t runs;
    uint64_t missed; /* it was to run while it, or another program of any client, ran on that CPU, or the CPU could not let it */
};

/* --- attachments --- */

enum bpfd_where {
    BPFD_AT_POINT = 1,  /* number: of the tracepoint, by BPFD_POINTS */
    BPFD_AT_CALL_ENTRY, /* number: of the system call, or BPFD_ALL_CALLS */
    BPFD_AT_CALL_EXIT,
    BPFD_AT_INTERVAL,   /* value: ns between runs, 100,000 to 2^63 - 1; on one CPU at a time */
    BPFD_AT_PROFILE,    /* number: runs a second on each CPU, up to BPFD_HZ_MAX; idle ones are left out. regs: where the CPU is, as far as it is in a program */
    BPFD_AT_FUNCTION,   /* an instruction. value: its address in the kernel, or its offset in a file of the instance, whose path (without a 0 byte) follows struct
                           bpfd_attach: in all processes that have it mapped, now or later. -EOPNOTSUPP where the kernel cannot; -ENOENT: no such file */
    BPFD_AT_RETURN,     /* the same of a function's first instruction: when it has returned (rax: what, rip: where to) */
};
#define BPFD_ALL_CALLS 0xffffffffu

struct bpfd_attach {
    uint32_t program;
    uint32_t where; /* enum bpfd_where */
    uint32_t number;
    uint32_t flags; /* BPFD_FUNCTION_BEGINS, of a file's; else 0 */
    uint64_t value;
};
#define BPFD_FUNCTION_BEGINS 1u /* BPFD_AT_FUNCTION: the first instruction of one, so that the return address is on top of the stack */

struct bpfd_symbol { /* then with address 0 a name, without a 0 byte */
    uint64_t address;
};

/* --- output --- */

enum bpfd_record_kind {
    BPFD_RECORD_RINGBUF = 1, /* what was submitted */
    BPFD_RECORD_PERF,        /* what perf_event_output() wrote */
    BPFD_RECORD_PRINT,       /* text of trace_printk() */
    BPFD_RECORD_LOST,        /* a u64: records of that map (and CPU) that there was no room for, since the last one told */
};

struct bpfd_record { /* then len bytes, padded to 8 */
    uint32_t len;
    uint16_t kind, cpu; /* enum bpfd_record_kind; cpu: of ring buffers 0 */
    uint32_t map;       /* RINGBUF, PERF; LOST: of them, or BPFD_NO_MAP: of trace_printk() */
    uint32_t reserved;
};
#define BPFD_NO_MAP 0xffffffffu

/* --- contexts --- */

struct bpfd_event { /* Linux's struct trace_entry */
    uint16_t type;  /* 0 */
    uint8_t flags, preempt_count; /* 0 */
    int32_t pid;    /* the thread, as get_current_pid_tgid() tells; 0: not a program's */
};

struct bpfd_point_ctx {
    struct bpfd_event common;
    uint64_t fields[BPFD_FIELDS_MAX]; /* by the tracepoint's list, those that it has not are 0; a string is its address in the kernel, to be read by
                                         probe_read_kernel_str() */
};

struct bpfd_call_entry_ctx {
    struct bpfd_event common;
    int64_t id; /* number of the call */
    uint64_t args[6];
};

struct bpfd_call_exit_ctx {
    struct bpfd_event common;
    int64_t id;
    int64_t ret;
    uint64_t args[6]; /* what Linux does not tell there */
};

struct bpfd_regs_ctx {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss;
    uint64_t sample_period; /* timers: ns between runs; else 0 */
    uint64_t addr;          /* 0 */
};

/*
 * Helper functions, by Linux's numbers: map_lookup_elem 1, map_update_elem 2, map_delete_elem 3, probe_read 4, ktime_get_ns 5,
 * trace_printk 6, get_prandom_u32 7, get_smp_processor_id 8, get_current_pid_tgid 14, get_current_uid_gid 15, get_current_comm 16,
 * perf_event_output 25, get_stackid 27, probe_read_str 45, get_stack 67, probe_read_user 112, probe_read_kernel 113, probe_read_user_str 114,
 * probe_read_kernel_str 115, ktime_get_boot_ns 125, ringbuf_output 130, ringbuf_reserve 131, ringbuf_submit 132, ringbuf_discard 133.
 * probe_read() and probe_read_str() take both kinds of addresses. Program memory that is not there yet is -EFAULT, never waited for.
 */

#endif
