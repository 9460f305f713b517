/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "sim/test.h"

/* All tokens of a text as letters; 'E' ends a good text, '!' a bad one. */
static void tokens(const char *text, char *out)
{
    static const char letters[] = "!E{}[]kSN10n";
    struct json j;
    /* An exact copy, so that reading past the end is seen. */
    size_t len = strlen(text);
    char *copy = kmalloc(len + (len == 0), 0);
    memcpy(copy, text, len);
    json_init(&j, copy, len);
    for (unsigned i = 0; i < 100; i++) {
        enum json_token t = json_next(&j);
        *out++ = letters[t];
        if (t == JSON_ERROR || t == JSON_END)
            break;
    }
    *out = '\0';
    CHECK((out[-1] == '!') == (json_error(&j) != NULL));
    kfree(copy);
}

static void expect(const char *text, const char *want)
{
    char got[128];
    tokens(text, got);
    if (strcmp(got, want) != 0)
        sim_test_failed(__FILE__, __LINE__, "%s: %s, %s expected", text, got, want);
}

TEST(grammar)
{
    expect("1", "NE");
    expect(" [ ] ", "[]E");
    expect("{}", "{}E");
    expect("{\"a\":1,\"b\":[true,false,null,\"x\"]}", "{kNk[10nS]}E");
    expect("[[[]],{}]", "[[[]]{}]E");
    expect("-0.5e+10", "NE");
    expect("\t\r\n0", "NE");
    expect("", "!");
    expect("[", "[!");
    expect("[1", "[N!");
    expect("[1,", "[N!");
    expect("[1,]", "[N!");
    expect("[,1]", "[!");
    expect("{\"a\":1,}", "{kN!");
    expect("{\"a\"}", "{!");
    expect("{a:1}", "{!");
    expect("{\"a\":}", "{k!");
    expect("[1 2]", "[N!");
    expect("[1}", "[N!");
    expect("1 2", "N!");
    expect("01", "N!");
    expect("-", "!");
    expect("1.", "!");
    expect(".5", "!");
    expect("1e", "!");
    expect("+1", "!");
    expect("tru", "!");
    expect("nul", "!");
    expect("truex", "1!");
    expect("NaN", "!");
    expect("'a'", "!");
}

TEST(strings)
{
    expect("\"", "!");
    expect("\"abc", "!");
    expect("\"\\", "!");
    expect("\"\\x\"", "!");
    expect("\"\\u12\"", "!");
    expect("\"\\u12g4\"", "!");
    expect("\"\\ud800\"", "!");
    expect("\"\\ud800\\u0041\"", "!");
    expect("\"\\udc00\"", "!");
    expect("\"\\ud83d\\ude00\"", "SE");
    expect("\"a\nb\"", "!");
    expect("\"\xc3\xa9\"", "SE");
    expect("\"\xc0\xaf\"", "!"); /* overlong */
    expect("\"\xe0\x80\x80\"", "!");
    expect("\"\xed\xa0\x80\"", "!"); /* surrogate */
    expect("\"\xf4\x90\x80\x80\"", "!");
    expect("\"\xf0\x9f\x98\"", "!"); /* cut */
    expect("\"\x80\"", "!");
}

TEST(decoding)
{
    static const char text[] = "\"a\\n\\\"\\u00e9\\ud83d\\ude00\\/\"";
    static const char want[] = "a\n\"\xc3\xa9\xf0\x9f\x98\x80/";
    struct json j;
    char buf[32];
    json_init(&j, text, strlen(text));
    CHECK_EQ(json_next(&j), JSON_STRING);
    CHECK_EQ(json_string(&j, buf, sizeof(buf)), (long)strlen(want));
    CHECK_STR(buf, want);
    CHECK(json_is(&j, want));
    CHECK(!json_is(&j, "a"));
    CHECK_EQ(json_string(&j, buf, strlen(want)), -1); /* no room for the end byte */
    CHECK_EQ(json_string(&j, buf, strlen(want) + 1), (long)strlen(want));
    CHECK_EQ(json_string(&j, buf, 0), -1);
    json_init(&j, "\"a\\u0000b\"", 10);
    CHECK_EQ(json_next(&j), JSON_STRING);
    CHECK_EQ(json_string(&j, buf, sizeof(buf)), -1); /* no C string holds it */
    CHECK(!json_is(&j, "a"));
}

static bool number(const char *text, s64 *ret)
{
    struct json j;
    json_init(&j, text, strlen(text));
    CHECK_EQ(json_next(&j), JSON_NUMBER);
    return json_s64(&j, ret);
}

TEST(numbers)
{
    s64 v;
    u64 u;
    struct json j;
    CHECK(number("0", &v) && v == 0);
    CHECK(number("-7", &v) && v == -7);
    CHECK(number("9223372036854775807", &v) && v == INT64_MAX);
    CHECK(number("-9223372036854775808", &v) && v == INT64_MIN);
    CHECK(!number("9223372036854775808", &v));
    CHECK(!number("-9223372036854775809", &v));
    CHECK(!number("1.0", &v));
    CHECK(!number("1e3", &v));
    json_init(&j, "18446744073709551615", 20);
    json_next(&j);
    CHECK(json_u64(&j, &u) && u == UINT64_MAX);
    json_init(&j, "18446744073709551616", 20);
    json_next(&j);
    CHECK(!json_u64(&j, &u));
    json_init(&j, "-1", 2);
    json_next(&j);
    CHECK(!json_u64(&j, &u));
}

TEST(depth_is_bounded)
{
    char text[2 * JSON_MAX_DEPTH + 3];
    struct json j;
    for (unsigned depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        json_init(&j, text, 2 * depth);
        CHECK_EQ(json_next(&j), JSON_ARRAY);
        CHECK_EQ(json_skip(&j), depth == JSON_MAX_DEPTH);
    }
}

TEST(skipping_and_lines)
{
    static const char text[] = "{\n\"a\": [1, {\"b\": []}],\n\"c\": 3,\n bad }";
    struct json j;
    json_init(&j, text, strlen(text));
    CHECK_EQ(json_next(&j), JSON_OBJECT);
    CHECK_EQ(json_next(&j), JSON_KEY);
    CHECK(json_is(&j, "a"));
    CHECK_EQ(json_next(&j), JSON_ARRAY);
    CHECK(json_skip(&j));
    CHECK_EQ(json_next(&j), JSON_KEY);
    CHECK(json_is(&j, "c"));
    CHECK_EQ(json_next(&j), JSON_NUMBER);
    CHECK(json_skip(&j));
    CHECK_EQ(json_next(&j), JSON_ERROR);
    CHECK_EQ(json_line(&j), 4);
    CHECK_EQ(json_next(&j), JSON_ERROR);
}
