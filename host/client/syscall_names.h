/* SPDX-License-Identifier: Apache-2.0 */
/* Names of system calls, from kernel/linux/syscalls.tbl. */
#ifndef HOST_CLIENT_SYSCALL_NAMES_H
#define HOST_CLIENT_SYSCALL_NAMES_H

/* NULL: there is none with that number. */
const char *syscall_name(unsigned nr);

#endif
