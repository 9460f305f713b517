/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instance's end of the control port (abi/control.h), and the last steps of
 * its life: whoever ends the machine goes through machine_end(), once.
 */
#ifndef INIT_CONTROL_H
#define INIT_CONTROL_H

#include "abi/control.h"
#include "kern/types.h"

/* Find the port, if there is one, and say hello. */
void control_open(void);
/* Take messages from the tender until the port closes; then returns. Thread context. */
void control_serve(void);
void control_started(void);
/* Text messages: CTL_LOG, CTL_NET. Dropped when the tender does not read. Thread context. */
void control_text(enum ctl_type type, const char *text);
/* For linux_notice. */
void control_notice(const char *text);

/* Tell the end (with `report` as CTL_CRASH when not NULL), let all output leave, power off. Thread context. */
NORETURN void machine_end(enum ctl_exit_kind kind, int code, int signal, const char *report);
/* The machine cannot run its program: the same with a message, code 125. */
NORETURN void boot_fail(const char *format, ...) PRINTF_LIKE(1, 2);

/* Terminal that CTL_WINSIZE is for; set by stdio. */
struct tty;
extern struct tty *control_tty;

#endif
