/* SPDX-License-Identifier: Apache-2.0 */
/* Packets thrown away, by the interface that they came in by: for the service "stats". */
#include "kern/percpu.h"
#include "net_impl.h"

static struct netif *taking_in[MAX_CPUS];          /* its CPU's, in bottom halves */
static u32 drops[NETIF_MAX][NET_COUNTERS_NR];      /* as NET_COUNT() counts; in the order of netifs */

void net_taking_in(struct netif *nif) { taking_in[this_cpu()->cpu] = nif; }

void net_drop(unsigned counter)
{
    const struct netif *nif = taking_in[this_cpu()->cpu];
    net_count_drop(counter);
    for (unsigned i = 0; nif != NULL && i < NETIF_MAX; i++)
        if (netifs[i] == nif)
            atomic_store_relaxed(&drops[i][counter], drops[i][counter] + 1);
}

size_t net_show_drops(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++)
        for (unsigned k = 0; k < NET_COUNTERS_NR; k++)
            if (drops[i][k] != 0)
                text_add(&t, "%s %s %u\n", netifs[i]->dev->name, net_counter_name(k), drops[i][k]);
    return t.len;
}
