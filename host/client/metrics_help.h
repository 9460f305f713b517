/* SPDX-License-Identifier: Apache-2.0 */
/* What the metrics mean. */
#ifndef HOST_CLIENT_METRICS_HELP_H
#define HOST_CLIENT_METRICS_HELP_H

/* NULL: a newer kernel's, which is shown all the same. */
const char *metrics_help(const char *name);

#endif
