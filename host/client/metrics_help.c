/* SPDX-License-Identifier: Apache-2.0 */
/* What the metrics mean: see metrics_help.h. */
#include "host/client/metrics_help.h"

#include <string.h>

#include "base/types.h"

static const struct {
    const char *name, *help;
} texts[] = {
    {"up", "Whether the running instance answered."},
    {"instance_info", "A running instance; its value is 1."},
    {"uptime_seconds", "Time since the kernel of the instance started."},
    {"cpus", "Processors of the instance."},
    {"cpu_seconds_total", "Time of each processor of the instance, idle and busy."},
    {"context_switches_total", "Switches from one thread to another."},
    {"interrupts_total", "Interrupts taken."},
    {"timer_interrupts_total", "Interrupts of the timer."},
    {"page_faults_total", "Page faults of programs."},
    {"syscalls_total", "System calls by name."},
    {"syscalls_by_entry_total", "System calls by how they entered the kernel: as a jump or as a trap."},
    {"memory_total_bytes", "Memory of the instance."},
    {"memory_bytes", "Memory of the instance by use."},
    {"processes", "Processes, zombies included."},
    {"zombies", "Processes that have ended and that nobody has waited for."},
    {"threads", "Threads of programs."},
    {"network_packet_buffers", "Packet buffers in use."},
    {"network_receive_packets_total", "Packets received, by interface."},
    {"network_receive_bytes_total", "Bytes received, by interface."},
    {"network_receive_drops_total", "Received packets for which there was no room, by interface."},
    {"network_receive_errors_total", "Received packets that were damaged, by interface."},
    {"network_transmit_packets_total", "Packets sent, by interface."},
    {"network_transmit_bytes_total", "Bytes sent, by interface."},
    {"network_transmit_drops_total", "Packets for which the interface had no room, by interface."},
    {"network_transmit_errors_total", "Packets that could not be sent, by interface."},
    {"network_events_total", "What happened to packets and connections: one count for each reason of a drop, and some others."},
    {"network_drops_total", "Packets thrown away, by the interface that they came in by and by reason."},
    {"syscall_duration_seconds", "Time from entry to return of system calls, waiting included, by call; after drupe stats --latency on."},
    {"scheduler_latency_seconds", "Time that threads were ready before they ran; after drupe stats --latency on."},
    {"tcp_connections", "TCP sockets by state."},
    {"block_reads_total", "Read requests, by block device."},
    {"block_writes_total", "Write requests, by block device."},
    {"block_read_bytes_total", "Bytes read, by block device."},
    {"block_written_bytes_total", "Bytes written, by block device."},
    {"block_errors_total", "Requests that failed, by block device."},
    {"host_cpu_seconds_total", "Processor time on the host of the instance's processes, of the one that looks after it (tender), and of its user network and volumes' servers."},
    {"host_resident_memory_bytes", "Memory on the host of the instance's processes, of the one that looks after it (tender), and of its user network and volumes' servers."},
};

const char *metrics_help(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (strcmp(texts[i].name, name) == 0)
            return texts[i].help;
    return NULL;
}
