/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's service "debug": ptrace for a debugger outside. Arguments: the number of a process as text, or nothing: the first one.
 * All its threads are traced from the opening on, and told to stop; all is undone and goes on when the conversation ends, however it
 * does. Little-endian; every message of the client is one part and has one answer, in order; events come in between.
 *
 *   - A thread that stops is told by one event. It stays until DBG_RESUME, or the conversation's end.
 *   - Breakpoints belong to the service: memory as read and written through it shows none; a thread that ran into
 *     one is told with its program counter moved back onto it. Processes that the program makes get none and are not traced.
 *   - A new thread is traced, told, and stopped when it is first told.
 */
#ifndef ABI_DEBUG_H
#define ABI_DEBUG_H

#include <stdint.h>

#define DBG_VERSION 1u
#define DBG_DATA_MAX 7168u   /* of one request or answer, so that it is one part of a channel */
#define DBG_BREAKS_MAX 512u
#define DBG_FILES_MAX 256u

enum dbg_op {
    DBG_HELLO = 1,   /* -> struct dbg_hello */
    DBG_THREADS,     /* -> struct dbg_thread[], of all, in a message of any length */
    DBG_INTERRUPT,   /* tid, or 0: all; they stop, if they have not */
    DBG_RESUME,      /* tid; how = 0 go on, 1 one instruction; value = signal to deliver */
    DBG_READ,        /* addr, value = bytes -> what can be read of them, from the start; -EIO: nothing */
    DBG_WRITE,       /* addr, data; -EIO: not all of it */
    DBG_GET_REGS,    /* tid (stopped), how = note type as in core files (NT_PRSTATUS ...) -> data */
    DBG_SET_REGS,    /* the same, data */
    DBG_BREAK,       /* addr: one byte 0xcc there; twice is once */
    DBG_UNBREAK,
    DBG_AUXV,        /* -> data */
    DBG_EXE,         /* -> path, without a 0 */
    DBG_OPEN,        /* data: path, as the process sees it, to read -> value: a number; data: struct dbg_stat */
    DBG_PREAD,       /* how = number, addr = offset, value = bytes -> data; none: the end */
    DBG_CLOSE,       /* how = number */
    DBG_KILL,        /* end the process */
    DBG_POINT,       /* addr, value = bytes (1, 2, 4, 8), how = DBG_POINT_*: in the CPU's debug registers; -ENOSYS: there are none, -ENOSPC */
    DBG_UNPOINT,
    DBG_KERNEL_STACK, /* tid (stopped) -> text: where in the kernel it slept when DBG_INTERRUPT or the opening woke it, innermost first: lines
                        of "name+0x12", a space, and the distance from text_start in hexadecimal */
    DBG_EVENT = 64,  /* never asked: struct dbg_event */
};

#define DBG_POINTS_OUTSIDE 1u /* dbg_hello.flags: DBG_POINT only tells the kernel. The client has the instance's process get SIGTRAP with the code TRAP_PERF and
                                the point's address from Linux: before DBG_POINT and behind DBG_UNPOINT such signals do nothing */

#define DBG_POINT_EXEC 0u /* before the instruction; value = 1 */
#define DBG_POINT_WRITE 1u
#define DBG_POINT_ACCESS 2u

struct dbg_request {
    uint32_t op, tid;
    uint32_t how, reserved;
    uint64_t addr, value;
};
struct dbg_answer { /* then data */
    uint32_t op;
    int32_t error; /* 0 or -errno; with an error there is no data */
    uint64_t value;
};

struct dbg_hello {
    uint32_t version, pid;
    uint64_t components;       /* of NT_X86_XSTATE, as in XCR0 */
    uint32_t state_size;       /* its bytes */
    uint32_t offsets[8];       /* of its components */
    uint32_t flags;
};
struct dbg_thread {
    uint32_t tid;
    char name[20]; /* NUL-padded */
};
struct dbg_stat {
    uint64_t size, mtime_s;
    uint32_t mode, reserved;
};

enum dbg_event_kind {
    DBG_STOPPED = 1, /* by a signal or as it was told to; a debugger's own stops are signal 5 with the code saying why */
    DBG_BREAKPOINT,  /* ran into one */
    DBG_INTERRUPTED, /* by DBG_INTERRUPT, or new */
    DBG_EXEC,        /* the process has another program; breakpoints went with the old one */
    DBG_EXITING,     /* does not stop: the status that the thread or process is about to end with, as wait(2) has it */
    DBG_THREAD_GONE,
    DBG_PROCESS_GONE, /* the last event; the first process' end is the machine's and is told so */
    DBG_POINT_HIT,    /* status = the point's address, signal = its DBG_POINT_* */
};
struct dbg_event {
    uint32_t op, kind; /* DBG_EVENT */
    uint32_t tid, signal;
    uint64_t status;     /* DBG_EXITING, DBG_PROCESS_GONE */
    uint8_t siginfo[128]; /* DBG_STOPPED by a signal */
};

#endif
