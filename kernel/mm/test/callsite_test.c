/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/callsite.h"
#include "mm_test.h"
