/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 without temporary addresses (-Dwithout=tempaddr). */
#include "ip6_impl.h"

u64 ip6_temp_due(u64 now) { return NEVER_NS; }
void ip6_temp_renew(const struct ip6_addr *public) {}
void ip6_temp_duplicate(void) {}
void ip6_temp_unique(void) {}
const struct ip6_item ip6_temp_items[] = { { .name = NULL } };
