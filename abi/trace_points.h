/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's static tracepoints. Clients learn them from the kernel that they speak to; this is for who speaks to none. */
#ifndef ABI_TRACE_POINTS_H
#define ABI_TRACE_POINTS_H

/* name, "group:event", a letter for each field (u s64 d, unsigned u, hex x, string s), names of the fields */
#define TRACE_POINT_LIST(X)                                                                        \
    X(SCHED_SWITCH, "sched:switch", "uusuus", "prev_id,prev_state,prev,next_id,next_prio,next")    \
    X(SCHED_WAKEUP, "sched:wakeup", "us", "id,name")                                               \
    X(IRQ_HANDLER, "irq:handler", "x", "handler")                                                  \
    X(MM_FAULT, "mm:fault", "xud", "address,access,result")                                        \
    X(MM_OOM, "mm:oom", "u", "pages")                                                              \
    X(FS_OPEN, "fs:open", "sxd", "path,flags,result")                                              \
    X(BLOCK_ISSUE, "block:issue", "suuu", "device,op,sector,bytes")                                \
    X(BLOCK_COMPLETE, "block:complete", "suud", "device,op,sector,result")                         \
    X(NET_TCP_RETRANSMIT, "net:tcp_retransmit", "uuuu", "local_port,remote_port,sequence,bytes")   \
    X(NET_TCP_STATE, "net:tcp_state", "uuuu", "local_port,remote_port,old,new")                    \
    X(NET_DROP, "net:drop", "s", "reason")                                                         \
    X(SIGNAL_DELIVER, "signal:deliver", "udxduu", "signal,code,handler,sender,uid,status")                 \
    X(PROCESS_FORK, "process:fork", "uu", "child_pid,child_tid")                                   \
    X(PROCESS_EXEC, "process:exec", "s", "program")                                                \
    X(PROCESS_EXIT, "process:exit", "uuu", "code,signal,last")

#endif
