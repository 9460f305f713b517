/* SPDX-License-Identifier: Apache-2.0 */
/* How long an instruction is (insn.c). */
#ifndef ARCH_INSN_H
#define ARCH_INSN_H

#include "base/types.h"

#define INSN_MAX 15u

struct insn {
    u8 map; /* of opcodes: 0 = one byte, 1 = 0F, 2 = 0F 38, 3 = 0F 3A */
    u8 opcode, modrm, rex;
    u8 disp_at; /* pc_relative: where its 32-bit displacement is */
    bool pc_relative, locked_or_repeated, vector;
};

/* Length of the instruction at p, of which `room` bytes may be read; 0 when it is none, or does not end there. */
unsigned insn_decode(const u8 *p, unsigned room, struct insn *ret);
/* Does it do the same at any other address? Only what compilers put behind a system call; false when in doubt. */
bool insn_movable(const struct insn *in);

#endif
