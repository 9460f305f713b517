/* SPDX-License-Identifier: Apache-2.0 */
/* Small while waiting. */
#ifndef HOST_LIB_TRIM_H
#define HOST_LIB_TRIM_H

/*
 * The start of a long-lived process is over: give back what only it needed, free heap and the mappings of code
 * and constants. The few pages of these that go on being used come back from the page cache by themselves.
 */
void trim_memory(void);

#endif
