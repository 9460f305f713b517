/* SPDX-License-Identifier: Apache-2.0 */
/* In place of core.c: a program that dies leaves no core file. */
#include "core.h"

bool cores_expected;

bool core_dump(struct task *t, const struct ksiginfo *info) { return true; }
void core_service_init(void) {}
