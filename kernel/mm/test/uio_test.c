/* SPDX-License-Identifier: Apache-2.0 */
/* Program memory: ranges are checked, faults stop a copy where they are, nothing wraps. */
#include "kern/uio.h"
#include "mm_test.h"

TEST(ranges)
{
    CHECK(user_range_ok(PLAT_USER_MIN, 0));
    CHECK(user_range_ok(PLAT_USER_MIN, PLAT_USER_MAX - PLAT_USER_MIN));
    CHECK(!user_range_ok(PLAT_USER_MIN, PLAT_USER_MAX - PLAT_USER_MIN + 1));
    CHECK(user_range_ok(0, 0)); /* may be named, not touched */
    CHECK(copy_from_user(NULL, 0, 0) == 0);
    CHECK(copy_to_user(PLAT_USER_MIN - 1, "", 1) == -EFAULT);
    CHECK(!user_range_ok(PLAT_USER_MAX - 1, 2));
    CHECK(!user_range_ok(UINT64_MAX, 1));
    CHECK(!user_range_ok(PLAT_USER_MIN + 1, UINT64_MAX));
}

TEST(copies_stop_at_faults)
{
    mm_test_init();
    struct addrspace *as = test_space();
    uaddr_t a;
    static u8 buf[3 * PAGE_SIZE];
    CHECK_EQ(map_anon(as, TEST_BASE, 2 * PAGE_SIZE, MAP_READ | MAP_WRITE, 0, true, &a), 0);
    memset(buf, 7, sizeof(buf));
    CHECK_EQ(copy_to_user(a, buf, 2 * PAGE_SIZE), 0);
    CHECK_EQ(copy_to_user(a, buf, 2 * PAGE_SIZE + 1), -EFAULT);
    CHECK_EQ(copy_to_user_partial(a + PAGE_SIZE, buf, 2 * PAGE_SIZE), PAGE_SIZE);
    CHECK_EQ(copy_from_user_partial(buf, a + 2 * PAGE_SIZE - 10, 20), 10);
    CHECK_EQ(copy_from_user_partial(buf, 5, 20), 0);
    CHECK_EQ(zero_user(a, PAGE_SIZE), 0);
    CHECK_EQ(copy_string_from_user((char *)buf, a, 10), 0);
    CHECK_EQ(copy_string_from_user((char *)buf, a + PAGE_SIZE, 10), -ENAMETOOLONG);
    CHECK_EQ(copy_string_from_user((char *)buf, a + PAGE_SIZE, 2 * PAGE_SIZE), -EFAULT);
    CHECK_EQ(copy_to_user(a + 100, "pit", 4), 0);
    CHECK_EQ(copy_string_from_user((char *)buf, a + 100, 4), 3);
    CHECK_STR((char *)buf, "pit");
    u32 old = 0;
    CHECK_EQ(put_user_u32(a, 5), 0);
    CHECK_EQ(cas_user_u32(a, 5, 6, &old), 0);
    CHECK_EQ(old, 5);
    CHECK_EQ(cas_user_u32(a, 5, 7, &old), 0);
    CHECK_EQ(old, 6);
    CHECK_EQ(cas_user_u32(3, 5, 7, &old), -EFAULT);
    as_advise(as, a, PAGE_SIZE, 4);
    uaccess_nofault_begin();
    CHECK_EQ(get_user_u32(a, &old), -EFAULT);
    uaccess_nofault_end();
    CHECK_EQ(get_user_u32(a, &old), 0);
    CHECK_EQ(old, 0);
    end_space(as);
}

TEST(segments)
{
    mm_test_init();
    struct addrspace *as = test_space();
    uaddr_t a;
    u8 buf[100];
    CHECK_EQ(map_anon(as, TEST_BASE, PAGE_SIZE, MAP_READ | MAP_WRITE, 0, true, &a), 0);
    for (unsigned i = 0; i < 100; i++)
        buf[i] = (u8)i;
    struct uio_seg segs[] = { { a, 10 }, { 0, 0 }, { a + 50, 20 }, { a + PAGE_SIZE - 5, 10 } };
    struct uio u;
    CHECK_EQ(uio_user_segs(&u, segs, 4), 0);
    CHECK_EQ(u.remaining, 40);
    CHECK_EQ(uio_copy_out(&u, buf, 5), 5);
    uio_advance(&u, 7);
    CHECK_EQ(u.remaining, 28);
    CHECK_EQ(uio_copy_out(&u, buf + 5, 100), 23); /* 18 of the third, 5 before the fault */
    CHECK_EQ(uio_copy_out(&u, buf, 1), -EFAULT);
    u8 back[20];
    CHECK_EQ(copy_from_user(back, a + 52, 18), 0);
    CHECK_MEM(back, buf + 5, 18);
    segs[0].len = INT64_MAX;
    CHECK_EQ(uio_user_segs(&u, segs, 4), -EINVAL);
    segs[0].len = 10;
    segs[2].base = PLAT_USER_MAX - 1;
    CHECK_EQ(uio_user_segs(&u, segs, 4), -EFAULT);
    CHECK_EQ(uio_user_segs(&u, segs, UIO_MAX_SEGS + 1), -EINVAL);
    CHECK_EQ(uio_user(&u, PLAT_USER_MAX, 1), -EFAULT);
    CHECK_EQ(uio_user(&u, 0, 0), 0);
    uio_kernel(&u, back, 20);
    CHECK_EQ(uio_zero(&u, 5), 5);
    CHECK_EQ(uio_copy_in(&u, buf, 100), 15);
    CHECK_EQ(u.remaining, 0);
    end_space(as);
}
