/* SPDX-License-Identifier: Apache-2.0 */
#include "host/lib/time.h"

#include <stdio.h>
#include <string.h>

#include "host/lib/util.h"

#define LAST_SECOND 253402300799 /* of the year 9999, the last one that time_text() can write */

void time_text(const struct timespec *t, unsigned decimals, char ret[TIME_TEXT_MAX])
{
    struct tm tm;
    long fraction = t->tv_nsec;
    for (unsigned i = decimals; i < 9; i++)
        fraction /= 10;
    gmtime_r(&t->tv_sec, &tm);
    size_t n = strftime(ret, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret + n, TIME_TEXT_MAX - n, ".%0*ldZ", (int)decimals, fraction);
}

void time_text_now(unsigned decimals, char ret[TIME_TEXT_MAX])
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    time_text(&t, decimals, ret);
}

/* ".25" as nanoseconds; p behind it. */
static long fraction(const char **p)
{
    long ns = 0, unit = 100000000;
    if (**p == '.')
        for (++*p; **p >= '0' && **p <= '9'; ++*p, unit /= 10)
            ns += (**p - '0') * unit;
    return ns;
}

static int parse_ago(const char *text, struct timespec *ret)
{
    static const struct {
        char unit;
        u64 seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    u64 ago = 0;
    while (*text) {
        char *end;
        u64 n = strtoull(text, &end, 10), seconds = 0;
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
            seconds = *end == units[i].unit ? units[i].seconds : seconds;
        if (*text < '0' || *text > '9' || !seconds || n > 1000000000)
            return -1;
        ago += n * seconds;
        text = end + 1;
    }
    clock_gettime(CLOCK_REALTIME, ret);
    ret->tv_sec -= (time_t)MIN(ago, (u64)ret->tv_sec);
    return 0;
}

static int parse_zone(const char *p, struct tm *tm, time_t *ret)
{
    unsigned h, m;
    int n = 0;
    if (!*p) {
        tm->tm_isdst = -1;
        *ret = mktime(tm);
        return 0;
    }
    *ret = timegm(tm);
    if ((*p == 'Z' || *p == 'z') && !p[1])
        return 0;
    if ((*p != '+' && *p != '-') || sscanf(p + 1, "%2u:%2u%n", &h, &m, &n) != 2 || p[1 + n] || h > 23 || m > 59)
        return -1;
    *ret += (*p == '+' ? -1 : 1) * (time_t)(h * 3600 + m * 60);
    return 0;
}

int time_parse(const char *text, struct timespec *ret)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    size_t digits = strspn(text, "0123456789");
    struct timespec t = {0};
    if (digits && (text[digits] == 0 || text[digits] == '.')) {
        const char *p = text + digits;
        t.tv_sec = (time_t)strtoll(text, NULL, 10);
        t.tv_nsec = fraction(&p);
        if (*p || t.tv_sec > LAST_SECOND)
            return -1;
        *ret = t;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        struct tm tm = {0};
        const char *p = strptime(text, forms[i], &tm);
        if (!p)
            continue;
        t.tv_nsec = i < 2 ? fraction(&p) : 0;
        if (parse_zone(p, &tm, &t.tv_sec) == 0) {
            *ret = t;
            return 0;
        }
    }
    return *text ? parse_ago(text, ret) : -1;
}
