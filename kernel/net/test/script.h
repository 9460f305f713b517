/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet scripts: what a peer sends, what the stack must answer, and what a program calls, one step a line, on the
 * virtual clock. A script is a paragraph of kernel/net/test/scripts/NAME.tcp (gen_scripts.py makes each a TEST).
 *
 * Numbers of sequence space count from the initial ones: a SYN is 0 (0:N with N bytes), the first byte 1; +N and -N count from what
 * that side sends next. Data is a known stream,
 * so every byte that arrives is compared. T is milliseconds since the last segment or call; "= R" is what a call
 * returns: a number, or E and an error's name. A call never blocks.
 *
 *   < FLAGS [A:B] [what]       the peer sends: S . F R P U E W (ECE, CWR) C (CE in IP), bytes A to B. Left out: bytes
 *                              none, sequence the next one, ack all that came
 *   > FLAGS [A:B] [what] [@T..T]   the stack sends this next, within 1 ms or at T; PSH counts only when named
 *       what: ack N  win N  urg N  mss N  ws N  sackok  sack A:B,A:B  ts V E (* = any)  nots  cut (no options)
 *             fo ask|HEX|*|none  (fast open: asks for a cookie, has one, has the one that the stack told last, has none)
 *             ect / noect (expected in IP)  bad (checksum)  raw HEX (option bytes)
 *             lost (the peer sends it again: its next sequence number stays)
 *   none T                     the stack sends nothing for T
 *   any N                      the stack sends N segments, whatever they are;   flush: forget what it sent
 *   wait T
 *   open [ts N] [nosack] [ws N] [mss N] [win N] [ecn] [rtt T]  listen, a peer's handshake, accept; acks are delayed from then on
 *   listen [BACKLOG]   accept   connect   disconnect   port N (of the peer, for the next SYN)   quickack
 *   send N [more] [oob]   recv N   recvoob N (that byte)   skip N (reading steps over so many)    shutdown rd|wr|rdwr   close   closelisten
 *   fastsend N                 send with MSG_FASTOPEN;   sysctl [NAME] N: net.ipv4.NAME (tcp_fastopen);   socket: make one
 *   again                      forget the connection, which is closed
 *   set NAME N   get NAME N   linger S   lset NAME N (listener)   cc NAME
 *   poll [in] [out] [err] [hup] [rdhup]     exactly these
 *   state NAME                 of the connection;   timewait N, halfopen N, connections N
 *   count NAME N               a counter of the stack
 *   is FIELD N | is FIELD A..B  cwnd, ssthresh (segments), mss, rto, srtt (ms), snd_wnd, rcvbuf ...
 *   memory N                   the stack holds at most N bytes of packets
 *   tsval N                    the peer's clock
 *   icmp TYPE CODE [mtu N] [seq N];   path N: another connection has learned that the path carries N bytes
 */
#ifndef NET_SCRIPT_H
#define NET_SCRIPT_H

#include "net_test.h"

/* Lines as above; ends the test at the first that does not hold. `where` names the file. */
void script_run(const char *where, const char *const *lines, const int *numbers);

#endif
