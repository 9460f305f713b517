/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the guest test `streams`. */
#ifndef TESTS_GUEST_STREAMS_H
#define TESTS_GUEST_STREAMS_H

void unix_urgent(void);

#endif
