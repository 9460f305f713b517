/* SPDX-License-Identifier: Apache-2.0 */
/* Formats of printf(): checked when the program is read, used when its records come. */
#ifndef HOST_BPF_FORMAT_H
#define HOST_BPF_FORMAT_H

#include "host/lib/util.h"

/* The next piece of a format: text, then (unless at its end) a conversion. */
struct conversion {
    const char *text;  /* before it; "%%" stands for one */
    size_t text_len;
    char flags[8];     /* of "-+ #0" */
    int width, precision; /* -1: none */
    char letter;       /* d u x X o c s p; 0: the format ends */
};
/* Moves *format on. False: it is no format that printf() knows; *format is where. */
bool format_next(const char **format, struct conversion *ret);

#endif
