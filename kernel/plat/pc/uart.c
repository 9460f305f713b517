/* SPDX-License-Identifier: Apache-2.0 */
/* The log's way out: a 16550 at 0x3f8, silent where there is none. And the power switch. */
#include "arch/cpu.h"
#include "base/str.h"
#include "pc.h"

#define UART 0x3f8
#define UART_IER 1
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCRATCH 7
#define LSR_EMPTY 0x20
#define FIFO_SIZE 16
#define MAX_POLLS 100000 /* then it is broken or gone */

static bool present;

void pc_uart_init(void)
{
    outb(UART + UART_SCRATCH, 0x5a);
    present = inb(UART + UART_SCRATCH) == 0x5a;
    if (!present)
        return;
    outb(UART + UART_IER, 0);
    outb(UART + UART_LCR, 0x80);
    outb(UART, 1); /* 115200 */
    outb(UART + 1, 0);
    outb(UART + UART_LCR, 3); /* 8n1 */
    outb(UART + UART_FCR, 7); /* FIFOs on and empty */
    outb(UART + UART_MCR, 3);
}

static unsigned room; /* bytes that fit without asking; races between CPUs only garble the log */

static void put(char c)
{
    if (room == 0) {
        unsigned polls = 0;
        while (!(inb(UART + UART_LSR) & LSR_EMPTY)) {
            if (++polls == MAX_POLLS) {
                present = false;
                return;
            }
            plat_relax();
        }
        room = FIFO_SIZE;
    }
    room--;
    outb(UART, (u8)c);
}

void plat_console_write(const char *buf, size_t len)
{
    for (size_t i = 0; i < len && present; i++) {
        if (buf[i] == '\n')
            put('\r');
        put(buf[i]);
    }
    room = 0;
}

void plat_power_off(int status)
{
    plat_events_disable();
    u16 port = pc_option_port("drupe.exit");
    if (port != 0)
        outb(port, (u8)status);
    outb(0xcf9, 6);  /* ICH9 reset control */
    outb(0x64, 0xfe); /* keyboard controller: pulse the reset line */
    struct {
        u16 limit;
        u64 base;
    } PACKED none = { 0, 0 };
    __asm__ volatile("lidt %0; int3" ::"m"(none)); /* triple fault */
    for (;;)
        __asm__ volatile("cli; hlt");
}
