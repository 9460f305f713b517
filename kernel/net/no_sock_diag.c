/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of sock_diag.c and diag_*.c (-Dwithout=sock_diag): ss reads /proc/net instead. */
#include "netlink_impl.h"

nl_handler *const sock_diag_handle = NULL;
