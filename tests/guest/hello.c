/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest whole program: used linked in every way (dynamic, static, static-pie). */
#include <unistd.h>

int main(void)
{
    static const char text[] = "hello, world\n";
    return write(1, text, sizeof text - 1) == sizeof text - 1 ? 0 : 1;
}
