#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An instance whose programs all sleep is not woken, and its load averages are as if somebody had looked every 5 seconds."""
import time

from lib import ON, check, command, counters, done, own_list, until

SCRIPT = '''exec 9<> <(:) 2>/dev/null
for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done
until read load rest < /proc/loadavg; [ $load != 0.00 ]; do read -t 0.1 -u 9; done
kill $(jobs -p); wait
echo $(</proc/uptime) $(</proc/loadavg); read -t 45 -u 9; echo $(</proc/uptime) $(</proc/loadavg); read -u 9'''


def lines():
    return command('logs', 'idle')[1].splitlines()


def timers():
    return counters('idle')['timer_interrupts_total',]


work = own_list('idle')
status, out, err = command('run', *ON, '-d', '--name', 'idle', '--net', 'none', '/bin/bash', '-c', SCRIPT)
check(status == 0 and until(lambda: len(lines()) == 1), 'an instance that was busy', err)
time.sleep(1)
before = timers()
time.sleep(29)
took = timers() - before
check(took <= 5, f'29 seconds of nothing: {took} interrupts of timers')
check(until(lambda: len(lines()) == 2), 'it wakes up', lines())
(began, load), (ended, later) = [(float(w[0]), float(w[2])) for w in map(str.split, lines())]
periods = (ended - began) / 5
check(load * 0.92 ** (periods + 1) - 0.01 <= later <= load * 0.92 ** (periods - 1) + 0.09, f'the average of a minute: {load}, and {later} after {periods:.1f} periods')
command('rm', '-f', 'idle')
done()
