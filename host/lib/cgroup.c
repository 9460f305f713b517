/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups: see cgroup.h. */
#include "host/lib/cgroup.h"

#include <string.h>

#include "host/lib/fs.h"

/* "HIERARCHY:CONTROLLERS:PATH" lines; the path of version 2 has no controllers. */
static char *own_group(const char *text, const char *controllers)
{
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *list = strchr(line, ':');
        size_t n = strlen(controllers);
        if (list && strncmp(list + 1, controllers, n) == 0 && list[1 + n] == ':')
            return xstrndup(list + 2 + n, strcspn(list + 2 + n, "\n"));
    }
    return NULL;
}

/* The number behind "oom_kill " in a file of the group. */
static u64 read_kills(const char *mount, const char *group, const char *file)
{
    struct buf text = {0};
    u64 kills = 0;
    AUTO_FREE char *path = str_format("%s%s/%s", mount, group ? group : "", file);
    if (group && file_read(path, 65536, &text) == 0) {
        const char *at = strstr(text.data, "oom_kill ");
        if (at) {
            AUTO_FREE char *number = xstrndup(at + 9, strcspn(at + 9, "\n"));
            parse_number(number, 0, UINT64_MAX, &kills);
        }
    }
    buf_done(&text);
    return kills;
}

u64 cgroup_oom_kills(void)
{
    struct buf text = {0};
    if (file_read("/proc/self/cgroup", 65536, &text) < 0)
        return 0;
    AUTO_FREE char *unified = own_group(text.data, ""), *memory = own_group(text.data, "memory");
    buf_done(&text);
    u64 kills = read_kills("/sys/fs/cgroup", unified, "memory.events");
    return kills ? kills : read_kills("/sys/fs/cgroup/memory", memory, "memory.oom_control");
}
