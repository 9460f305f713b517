/* SPDX-License-Identifier: Apache-2.0 */
/* Is there a KVM that is worth using? */
#ifndef HOST_QEMU_KVM_H
#define HOST_QEMU_KVM_H

#include "base/types.h"

/* True when /dev/kvm runs a small machine at a processor's speed: 100,000 instructions
 * in 10 ms. (There are hosts whose /dev/kvm exists but hangs or emulates.) The answer is
 * remembered until the next boot. *ret_why is a static text. Bounded: half a second. */
bool kvm_usable(const char **ret_why);

#endif
