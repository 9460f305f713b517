/* SPDX-License-Identifier: Apache-2.0 */
/* hello as the init of a Linux guest: the console has to be opened first. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

int main(void)
{
    mount("dev", "/dev", "devtmpfs", 0, 0);
    int fd = open("/dev/console", O_RDWR);
    if (fd < 0 || write(fd, "hello, world\n", 13) != 13)
        return 1;
    reboot(RB_POWER_OFF);
    return 0;
}
