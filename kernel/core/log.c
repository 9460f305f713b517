/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: a ring of the newest bytes, and the console for lines that are
 * important enough. One lock, irq-safe, taken with a bounded wait so that a
 * report from anywhere (a fault inside klog() itself) gets out.
 */
#include "kern/log.h"

#include "base/fmt.h"
#include "base/str.h"
#include "kern/lock.h"
#include "kern/timer.h"

#define RING_SIZE 8192u /* power of two */
#define LINE_MAX 400u

static u32 log_busy; /* the lock; not a struct spinlock, so that lock checking may log */
static char ring[RING_SIZE];     /* log_busy */
static u64 ring_written;         /* log_busy: bytes ever */
static enum log_level console_level = LOG_WARN;

static bool log_enter(u64 *ret_flags)
{
    *ret_flags = plat_events_save();
    for (unsigned tries = 0; tries < 1000000; tries++) {
        if (atomic_xchg(&log_busy, 1u) == 0)
            return true;
        plat_relax();
    }
    return false; /* its holder is us, or dead: a torn line is better than none */
}

static void log_leave(u64 flags)
{
    atomic_store(&log_busy, 0u);
    plat_events_restore(flags);
}

static void emit(const char *text, size_t len, bool console)
{
    u64 flags;
    log_enter(&flags);
    for (size_t i = 0; i < len;) {
        size_t at = (size_t)(ring_written % RING_SIZE);
        size_t n = MIN(len - i, RING_SIZE - at);
        memcpy(ring + at, text + i, n);
        ring_written += n;
        i += n;
    }
    if (console)
        plat_console_write(text, len);
    log_leave(flags);
}

void log_set_console_level(enum log_level level)
{
    console_level = level;
}

void klog(enum log_level level, const char *format, ...)
{
    static const char level_letter[] = { 'E', 'W', 'I', 'D' };
    char line[LINE_MAX];
    u64 now = plat_now_ns();
    int n = fmt_snprintf(line, sizeof line, "[%5llu.%06llu] %c ", (unsigned long long)(now / NSEC_PER_SEC),
                         (unsigned long long)(now % NSEC_PER_SEC / NSEC_PER_USEC), level_letter[level & 3]);
    va_list ap;
    va_start(ap, format);
    n += fmt_vsnprintf(line + n, sizeof line - (size_t)n, format, ap);
    va_end(ap);
    size_t len = MIN((size_t)n, sizeof line - 2);
    line[len++] = '\n';
    emit(line, len, level <= console_level);
}

void log_text(const char *format, ...)
{
    char line[LINE_MAX];
    va_list ap;
    va_start(ap, format);
    int n = fmt_vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    emit(line, MIN((size_t)n, sizeof line - 1), true);
}

size_t log_read_tail(char *buf, size_t size)
{
    u64 flags;
    log_enter(&flags);
    size_t n = (size_t)MIN((u64)size, MIN(ring_written, (u64)RING_SIZE));
    for (size_t i = 0; i < n; i++)
        buf[i] = ring[(ring_written - n + i) % RING_SIZE];
    log_leave(flags);
    return n;
}
