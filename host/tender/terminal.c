/* SPDX-License-Identifier: Apache-2.0 */
/* The user's terminal: see terminal.h. */
#include "host/tender/terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static bool raw_mode;

void terminal_restore(void)
{
    if (raw_mode)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
    raw_mode = false;
}

void terminal_raw(void)
{
    static bool registered;
    if (tcgetattr(STDIN_FILENO, &saved) < 0)
        return;
    struct termios raw = saved;
    cfmakeraw(&raw);
    if (!registered)
        registered = atexit(terminal_restore) == 0;
    raw_mode = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

bool terminal_size(struct ctl_winsize *ret)
{
    struct winsize ws;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) < 0)
        return false;
    *ret = (struct ctl_winsize){ws.ws_row, ws.ws_col, ws.ws_xpixel, ws.ws_ypixel};
    return true;
}
