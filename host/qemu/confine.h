/* SPDX-License-Identifier: Apache-2.0 */
/* What -sandbox forbids QEMU, for a QEMU that is built without it. */
#ifndef HOST_QEMU_CONFINE_H
#define HOST_QEMU_CONFINE_H

/* From here on this process and what it executes starts no other, gets no other identity or rights, and touches neither mounts nor
 * the host's kernel; new threads it may have. For child_start(). 0 or -1 with errno. */
int qemu_confine(void);

#endif
