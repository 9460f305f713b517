/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for a byte, then makes so many calls that do nothing. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char go;
    if (argc != 2 || read(0, &go, 1) != 1)
        return 1;
    for (long n = atol(argv[1]); n > 0; n--)
        syscall(SYS_getppid);
    return 0;
}
