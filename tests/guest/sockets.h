/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the guest test `sockets`. */
#ifndef TESTS_GUEST_SOCKETS_H
#define TESTS_GUEST_SOCKETS_H

void inet_orders(void);
void unix_peers(void);

#endif
