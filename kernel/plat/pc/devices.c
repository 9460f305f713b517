/* SPDX-License-Identifier: Apache-2.0 */
/* Where the devices are: told by the command line (virtio-mmio), or by ACPI's MCFG (PCI). Never guessed. */
#include "kern/log.h"
#include "pc.h"

u8 pc_checksum(const void *p, size_t len)
{
    u8 sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = (u8)(sum + ((const u8 *)p)[i]);
    return sum;
}

static bool tables; /* const after boot */

void pc_tables_parse(void) { tables = pc_acpi_parse() || pc_mptable_parse(); }

void plat_discover_devices(void)
{
    unsigned mmio = 0;
    pc_image_add();
    if (pc_option("virtio_mmio.device") != NULL) {
        if (pc_ioapic_count() == 0)
            klog(LOG_ERROR, "virtio_mmio.device= is on the command line, but no ACPI or MP table says where interrupts go");
        else
            mmio = pc_mmio_discover();
    }
    paddr_t ecam;
    u8 first, last;
    bool pci = pc_acpi_mcfg(&ecam, &first, &last);
    if (pci)
        pc_pci_discover(ecam, first, last);
    else if (mmio == 0)
        klog(LOG_ERROR, "no devices: no virtio_mmio.device= on the command line and no PCI in %s (with -M microvm, give "
                        "acpi=off and leave auto-kernel-cmdline on; else use -M q35)", tables ? "the tables" : "any table");
}
