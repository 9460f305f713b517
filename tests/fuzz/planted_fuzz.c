/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fuzzer that must fail. A parser of type-length-value records, written as the
 * real ones are, but with one bug on purpose: the length of a record of type 7 is
 * checked against the wrong bound. The harness has to find it within its time.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(const uint8_t *p, size_t left, uint8_t *out, size_t room)
{
    while (left >= 2) {
        uint8_t type = p[0], len = p[1];
        p += 2;
        left -= 2;
        if (len > left)
            return -1;
        if (type == 7) {
            if (len > room + 16) /* planted: should be `len > room` */
                return -1;
            memcpy(out, p, len);
        }
        p += len;
        left -= len;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *volatile kept; /* else the compiler sees that nobody reads the copy, and leaves the bug out */
    uint8_t *out = kept = malloc(32);
    if (out != NULL)
        parse(data, size, out, 32);
    free(out);
    return 0;
}
