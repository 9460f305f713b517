/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's log: a ring in memory and, for lines at or above the console
 * level, the UART. Library code does not log; the layer that decides does.
 */
#ifndef KERN_LOG_H
#define KERN_LOG_H

#include "kern/arch.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_console_level(enum log_level level); /* default LOG_WARN */
/* One line, newline added. Any context. */
void klog(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
/* Raw text to the log and the console, any level (reports). */
void log_text(const char *format, ...) PRINTF_LIKE(1, 2);
/* Copy the newest bytes of the ring; returns how many. */
size_t log_read_tail(char *buf, size_t size);

/* Our own mistake: report with registers and backtrace, then power off with status 134. */
NORETURN void panic(const char *format, ...) PRINTF_LIKE(1, 2);
NORETURN void panic_frame(const struct trap_frame *frame, const char *format, ...) PRINTF_LIKE(2, 3);
/* Of ASSERT: one string, so that the checks stay small. */
__attribute__((cold)) NORETURN void assert_failed(const char *text);
/* Called with the text of a panic so that it can reach the control port; may be NULL. */
extern void (*panic_report)(const char *text, size_t len);

#define ASSERT(x)                                                                     \
    do {                                                                              \
        if (unlikely(!(x)))                                                           \
            assert_failed(#x " (" __FILE_NAME__ ":" ASSERT_TEXT(__LINE__) ")"); \
    } while (0)
#define ASSERT_TEXT(x) ASSERT_TEXT_(x)
#define ASSERT_TEXT_(x) #x

/* Print the registers. A weak default prints the program counter and the stack pointer. */
void arch_print_frame(const struct trap_frame *frame);

/* Symbols (trace/symbols.c): "name+0x12" of a kernel address, or the number. Returns buf. */
const char *symbol_name(u64 addr, char *buf, size_t size);
void print_backtrace(const struct trap_frame *frame); /* NULL = the caller */

#endif
