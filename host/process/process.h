/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend that runs an instance as a sandboxed Linux process (abi/host.h). docs/SANDBOX.md says what such a
 * process keeps, what it gives up, in which order and why.
 *
 *   layout.c   what the kernel finds in its memory: boot block, command line, configuration
 *   tap.c      opening a TAP interface
 *   sandbox.c  the process from its birth to the execution of the kernel image
 */
#ifndef HOST_PROCESS_PROCESS_H
#define HOST_PROCESS_PROCESS_H

#include "host/process/sandbox.h"
#include "host/tender/instance.h"

/* instance.options: a process that has been getting ready since it was clear that it would be needed. */
struct process_options {
    struct sandbox sandbox;
};

extern const struct backend process_backend;

#endif
