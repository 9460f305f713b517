/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259), read strictly and without allocation: the caller pulls tokens
 * out of a text that must stay in place.
 *
 *   json_init(&j, text, len);
 *   for (enum json_token t = json_next(&j); ...)
 *
 * A well-formed text gives: a value, then JSON_END. Objects give JSON_OBJECT, then
 * for each member JSON_KEY and a value, then JSON_OBJECT_END; arrays likewise.
 * The first error gives JSON_ERROR for good, with json_error() and the line.
 * Strict means: UTF-8 is checked, no control characters in strings, escapes and
 * surrogate pairs whole, numbers by the grammar, nothing behind the value, at most
 * JSON_MAX_DEPTH levels. A repeated key is the caller's affair.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/types.h"

#define JSON_MAX_DEPTH 32

enum json_token {
    JSON_ERROR,
    JSON_END,
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json {
    const char *start, *pos, *end;
    const char *token;      /* raw text of the last KEY, STRING (inside the quotes) or NUMBER */
    size_t token_len;
    enum json_token last;
    const char *error;
    unsigned depth;
    u32 in_object;          /* bit d = level d is an object */
    u8 expect;              /* private */
};

void json_init(struct json *j, const char *text, size_t len);
enum json_token json_next(struct json *j);
/* Skip the value whose first token was just returned (a scalar: nothing to do). False on an error. */
bool json_skip(struct json *j);

/* The last KEY or STRING, decoded, with an end byte. Its length; -1 when it does not
 * fit or contains U+0000. The decoded text is never longer than token_len. */
long json_string(const struct json *j, char *buf, size_t size);
/* Does the last KEY or STRING equal s once decoded? */
bool json_is(const struct json *j, const char *s);
/* The last NUMBER as an integer. False when it has a fraction or exponent, or is out of range. */
bool json_s64(const struct json *j, s64 *ret);
bool json_u64(const struct json *j, u64 *ret);

const char *json_error(const struct json *j); /* NULL = none */
unsigned json_line(const struct json *j);     /* of the position reached, from 1 */

#endif
