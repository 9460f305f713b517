/* SPDX-License-Identifier: Apache-2.0 */
/* In place of console.c and tty*.c: no session has a terminal. */
#include "fs_impl.h"

const struct tty_hooks *tty_hooks;

void tty_devices_init(void) {}
int tty_create(struct chardev *c, struct tty **ret) { return -EOPNOTSUPP; }
int tty_open_file(struct tty *t, struct file **ret) { return -EOPNOTSUPP; }
void tty_set_winsize(struct tty *t, u16 rows, u16 cols) {}
void tty_session_ended(u32 sid) {}
bool tty_of_session(u32 sid, u64 *ret_dev, u32 *ret_pgrp) { return false; }
