/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core files over a channel (abi/control.h): the services "dump" (arguments: a process number, empty = the first process; one core) and
 * "cores" (no arguments; one for each process that a core-dumping signal ends, for as long as the client stays). Each message
 * begins with a byte that says what follows:
 *
 *   CORE_BEGIN  text "PID SIGNAL NAME": a core file begins
 *   CORE_DATA   bytes of it
 *   CORE_SKIP   u64, little-endian: so many zero bytes
 *   CORE_END    text: empty, or why it is not whole; the client answers by an empty message: it has the file
 */
#ifndef ABI_CORE_H
#define ABI_CORE_H

#define CORE_BEGIN 'B'
#define CORE_DATA 'D'
#define CORE_SKIP 'S'
#define CORE_END 'E'

#endif
