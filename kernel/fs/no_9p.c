/* SPDX-License-Identifier: Apache-2.0 */
/* In place of 9p/: no volumes. */
#include "fs_impl.h"

void p9_init(void) {}
