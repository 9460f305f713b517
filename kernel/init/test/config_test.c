/* SPDX-License-Identifier: Apache-2.0 */
/* config.json: what is taken over, and what is refused with which words. */
#include "../config.h"
#include "sim/test.h"

static struct boot_config c;
static char why[200];

static int parse(const char *text) { return config_parse(text, strlen(text), &c, why, sizeof(why)); }

static void refuse(const char *text, const char *word)
{
    if (parse(text) != -EINVAL)
        sim_test_failed(__FILE__, __LINE__, "taken: %s", text);
    for (const char *p = why; *p != '\0'; p++)
        if (str_starts_with(p, word))
            return;
    sim_test_failed(__FILE__, __LINE__, "%s: \"%s\" says nothing of \"%s\"", text, why, word);
}

TEST(everything)
{
    CHECK_EQ(parse("{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":true,\"args\":[\"/bin/ls\",\"-l\",\"\\u00e9\"],"
                   "\"env\":[\"A=1\",\"B=\"],\"cwd\":\"/tmp\",\"user\":{\"uid\":1000,\"gid\":100,\"additionalGids\":[4,5]},"
                   "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":1024,\"hard\":18446744073709551615}],"
                   "\"consoleSize\":{\"height\":50,\"width\":132},\"noNewPrivileges\":true,\"capabilities\":{\"bounding\":[]}},"
                   "\"hostname\":\"box\",\"root\":{\"path\":\"/\",\"readonly\":true},"
                   "\"mounts\":[{\"destination\":\"/scratch\",\"type\":\"tmpfs\",\"options\":[\"nosuid\",\"ro\"]}],"
                   "\"annotations\":{\"org.drupe.net.mode\":\"static\",\"org.drupe.net.address\":\"10.0.2.15/24\","
                   "\"org.drupe.net.gateway\":\"10.0.2.2\",\"org.drupe.net.dns\":\"10.0.2.3,1.1.1.1\",\"org.drupe.net.domain\":\"lan\","
                   "\"org.drupe.net.eager\":\"1\",\"org.drupe.verbose\":\"1\",\"org.drupe.no-patch\":\"1\",\"org.drupe.one-output\":\"1\",\"other\":\"x\"}}"), 0);
    struct program_spec *p = &c.program;
    CHECK_STR(p->argv[0], "/bin/ls");
    CHECK_STR(p->argv[2], "\xc3\xa9");
    CHECK(p->argv[3] == NULL);
    CHECK_STR(p->envp[1], "B=");
    CHECK(p->envp[2] == NULL);
    CHECK_STR(p->cwd, "/tmp");
    CHECK_EQ(p->uid, 1000);
    CHECK_EQ(p->gid, 100);
    CHECK_EQ(p->ngroups, 2);
    CHECK_EQ(p->groups[1], 5);
    CHECK_EQ(p->nrlimits, 1);
    CHECK_EQ(p->rlimits[0].resource, 7);
    CHECK_EQ(p->rlimits[0].soft, 1024);
    CHECK(p->rlimits[0].hard == UINT64_MAX);
    CHECK(c.terminal && p->no_new_privileges && p->verbose && p->no_patch && c.one_output && c.root_read_only);
    CHECK_EQ(c.rows, 50);
    CHECK_EQ(c.cols, 132);
    CHECK_STR(p->hostname, "box");
    CHECK_EQ(c.nmounts, 1);
    CHECK_STR(c.mounts[0].destination, "/scratch");
    CHECK(c.mounts[0].read_only);
    CHECK_EQ(c.net.mode, NET_STATIC);
    CHECK_EQ(c.net.address, 0x0f02000a);
    CHECK_EQ(c.net.netmask, 0x00ffffff);
    CHECK_EQ(c.net.gateway, 0x0202000a);
    CHECK_EQ(c.net.dns[1], 0x01010101);
    CHECK_EQ(c.net.dns[2], 0);
    CHECK_STR(c.net.domain, "lan");
    CHECK(c.net.eager);
}

TEST(defaults)
{
    CHECK_EQ(parse("{\"process\":{\"args\":[\"x\"]}}"), 0);
    CHECK_STR(c.program.cwd, "/");
    CHECK_STR(c.program.hostname, "drupe");
    CHECK(c.program.envp != NULL && c.program.envp[0] == NULL);
    CHECK_EQ(c.net.mode, NET_NONE);
    CHECK(!c.terminal && !c.root_read_only);
}

TEST(many_arguments)
{
    char *text = kmalloc(65536, 0);
    int n = fmt_snprintf(text, 65536, "{\"process\":{\"args\":[\"a0\"");
    for (int i = 1; i < 3000; i++)
        n += fmt_snprintf(text + n, (size_t)(65536 - n), ",\"a%d\"", i);
    fmt_snprintf(text + n, (size_t)(65536 - n), "]}}");
    CHECK_EQ(parse(text), 0);
    CHECK_STR(c.program.argv[2999], "a2999");
    CHECK(c.program.argv[3000] == NULL);
    kfree(text);
}

TEST(refusals)
{
    refuse("", "ends too early");
    refuse("[]", "must be an object");
    refuse("{}", "no program");
    refuse("{\"process\":{\"args\":[]}}", "no program");
    refuse("{\"process\":{\"args\":\"ls\"}}", "process.args");
    refuse("{\"process\":{\"args\":[\"a\",1]}}", "process.args");
    refuse("{\"process\":{\"args\":[\"a\\u0000b\"]}}", "process.args");
    refuse("{\n\n\"process\":{\"args\":[\"a\"],}}", "line 3");
    refuse("{\"process\":{\"args\":[\"a\"],\"cwd\":\"tmp\"}}", "absolute");
    refuse("{\"process\":{\"args\":[\"a\"],\"user\":{\"uid\":-1}}}", "uid");
    refuse("{\"process\":{\"args\":[\"a\"],\"user\":{\"uid\":4294967296}}}", "uid");
    refuse("{\"process\":{\"args\":[\"a\"],\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]}}", "limit");
    refuse("{\"process\":{\"args\":[\"a\"],\"rlimits\":[{\"type\":\"RLIMIT_AS\",\"soft\":2,\"hard\":1}]}}", "above the hard");
    refuse("{\"process\":{\"args\":[\"a\"]},\"annotations\":{\"org.drupe.net.mode\":\"maybe\"}}", "net.mode");
    refuse("{\"process\":{\"args\":[\"a\"]},\"annotations\":{\"org.drupe.net.mode\":\"static\"}}", "net.address");
    refuse("{\"process\":{\"args\":[\"a\"]},\"annotations\":{\"org.drupe.net.address\":\"10.0.0.1/33\"}}", "net.address");
    refuse("{\"process\":{\"args\":[\"a\"]},\"annotations\":{\"org.drupe.net.dns\":\"1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4\"}}", "dns");
    refuse("{\"process\":{\"args\":[\"a\"]},\"annotations\":{\"org.drupe.winsize\":\"80\"}}", "winsize");
    refuse("{\"process\":{\"args\":[\"a\"]},\"mounts\":[{\"type\":\"tmpfs\"}]}", "destination");
    refuse("{\"process\":{\"args\":[\"a\"]}} x", "behind");
}

TEST(out_of_memory)
{
    for (unsigned rate = 1; rate < 4; rate++) {
        sim_fail_allocations(rate);
        int err = parse("{\"process\":{\"args\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\","
                        "\"14\",\"15\",\"16\",\"17\",\"18\"],\"env\":[\"A=1\"]}}");
        sim_fail_allocations(0);
        CHECK(err == 0 || err == -ENOMEM);
    }
}
