/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-mmio devices named on the command line, in Linux's notation: virtio_mmio.device=SIZE[KMG]@ADDRESS:IRQ[:ID] */
#include "base/fmt.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "pc.h"

#define MAX_MMIO 64

static int attach(struct device *d, irq_handler_fn *fn, void *arg) { return pc_gsi_attach(pc_isa_gsi(d->irq), fn, arg); }

static bool parse(const char *s, u64 *ret_len, u64 *ret_base, u64 *ret_irq)
{
    u64 len;
    if (!pc_parse_number(&s, &len))
        return false;
    unsigned shift = *s == 'K' || *s == 'k' ? 10 : *s == 'M' || *s == 'm' ? 20 : *s == 'G' || *s == 'g' ? 30 : 0;
    if (shift != 0)
        s++;
    *ret_len = len << shift;
    if (len >> 32 || *s++ != '@' || !pc_parse_number(&s, ret_base) || *s++ != ':' || !pc_parse_number(&s, ret_irq))
        return false;
    return *ret_len >= 0x100 && *ret_len <= 0x10000 && *ret_base >> 46 == 0 && *ret_irq < 256;
}

unsigned pc_mmio_discover(void)
{
    unsigned n = 0;
    for (const char *s = NULL; n < MAX_MMIO && (s = pc_option_next("virtio_mmio.device", s)) != NULL;) {
        u64 len, base, irq;
        if (!parse(s, &len, &base, &irq)) {
            klog(LOG_ERROR, "cannot read virtio_mmio.device=%.40s", s);
            continue;
        }
        struct device *d = kzalloc(sizeof *d);
        if (d == NULL)
            break;
        d->bus = BUS_MMIO;
        d->mmio_base = base;
        d->mmio_len = len;
        d->irq = (unsigned)irq;
        d->irq_attach = attach;
        fmt_snprintf(d->name, sizeof d->name, "virtio-mmio@%llx", (unsigned long long)base);
        device_add(d);
        n++;
    }
    return n;
}
