/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end. A panic reports and powers off. It trusts nothing: a second panic on
 * the way (a fault while printing the backtrace) skips what is left of the
 * report; another CPU that panics meanwhile waits for the first.
 */
#include "kern/log.h"

#include "base/fmt.h"
#include "base/str.h"
#include "kern/thread.h"

#define PANIC_STATUS 134 /* 128 + SIGABRT */

void (*panic_report)(const char *text, size_t len);

static u32 stage;        /* how far the report got */
static u32 panicked;     /* atomic: 1 + the CPU that reports */
static char report[2048];

__attribute__((weak)) void arch_print_frame(const struct trap_frame *frame)
{
    log_text("pc %#llx sp %#llx\n", (unsigned long long)FRAME_PC(frame), (unsigned long long)FRAME_SP(frame));
}

static NORETURN void do_panic(const struct trap_frame *frame, const char *format, va_list args)
{
    plat_events_disable();
    struct percpu *cpu = this_cpu();
    u32 none = 0, self = cpu->cpu + 1;
    if (!atomic_cas(&panicked, &none, self) && none != self)
        for (;;)
            plat_relax();
    u32 before = stage++;
    if (before == 0) {
        char text[256];
        fmt_vsnprintf(text, sizeof text, format, args);
        plat_stop_others();
        log_text("\npanic: %s\ncpu %u, thread %s (%u)\n", text, cpu->cpu, cpu->current->name, cpu->current->id);
        if (frame != NULL)
            arch_print_frame(frame);
        print_backtrace(frame);
    } else if (before == 1) {
        log_text("panic: panicked again while reporting\n");
    }
    if (before <= 1 && panic_report != NULL) {
        void (*tell)(const char *, size_t) = panic_report;
        panic_report = NULL;
        tell(report, log_read_tail(report, sizeof report));
    }
    plat_power_off(PANIC_STATUS);
}

void panic(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    do_panic(NULL, format, ap);
}

void assert_failed(const char *text)
{
    panic("assertion failed: %s", text);
}

void panic_frame(const struct trap_frame *frame, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    do_panic(frame, format, ap);
}
