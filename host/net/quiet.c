/* SPDX-License-Identifier: Apache-2.0 */
/* See quiet.h. Apart, because GLib's headers have names that ours have, too. */
#include "host/net/quiet.h"

#include <glib.h>

static void say_nothing(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer data)
{
    (void)domain;
    (void)level;
    (void)message;
    (void)data;
}

void quiet_libslirp(void) { g_log_set_default_handler(say_nothing, NULL); }
