/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as JSON: pulled token by token with skips in between, strings and numbers decoded. */
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json j;
    size_t steps = 0;
    unsigned mix = size > 0 ? data[size - 1] : 0;
    json_init(&j, (const char *)data, size);
    for (;;) {
        enum json_token t = json_next(&j);
        if (t == JSON_ERROR || t == JSON_END)
            break;
        if (++steps > size + 1 || j.depth > JSON_MAX_DEPTH)
            abort();
        if (t == JSON_KEY || t == JSON_STRING) {
            char *buf = malloc(j.token_len + 1);
            long n = json_string(&j, buf, j.token_len + 1);
            if (n > (long)j.token_len || (n >= 0 && (buf[n] != '\0' || !json_is(&j, buf))))
                abort();
            free(buf);
        } else if (t == JSON_NUMBER) {
            s64 v;
            u64 u;
            if (json_s64(&j, &v) && j.token[0] != '-' && (!json_u64(&j, &u) || u != (u64)v))
                abort();
        } else if (((mix ^ steps) & 7) == 0 && !json_skip(&j)) {
            break;
        }
    }
    if (json_line(&j) > size + 1)
        abort();
    return 0;
}
