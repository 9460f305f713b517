#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each state meets each anomaly in a packet script: no cell of the matrix is empty. matrix_test.py FILE..."""
import os
import re
import sys

import gen_scripts

STATES = ('LISTEN SYN_SENT SYN_RCVD ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSE_WAIT CLOSING LAST_ACK TIME_WAIT').split()
SPELLED = {'SYN_RCVD': '(SYN_RCVD|half_open)'}
# Names of scripts behind the state's. A state that has no window, or nothing to acknowledge, meets the anomaly as another one does.
ANOMALIES = {
    'old duplicate': 'old_duplicate|old_data|syn_again|ack_is_reset|bad_ack',
    'out of window': 'beyond_the_window|data_outside|ack_is_reset|ack_without_syn',
    'bad ack': 'ack_of_what_was_never_sent|bad_ack|ack_is_reset',
    'RST in place': 'rst_in_place|rst_is_ignored|refused',
    'RST elsewhere': 'rst_outside|rst_elsewhere|rst_with_bad_ack|rst_is_ignored',
    'SYN': 'syn_in_window|syn_again|new_syn|syn_opens|opens',
    'urgent data': 'urgent',
    'bad checksum': 'bad_checksum',
}
PAIRS = {'simultaneous open': 'simultaneous_open', 'simultaneous close': 'close_simultaneous'}
LEAST = 150


def main():
    names, failed, n = [], 0, 0
    for path in sys.argv[1:]:
        stem = os.path.splitext(os.path.basename(path))[0]
        names += [f'{stem} {name}' for name, _ in gen_scripts.parse(path)]

    def check(good, what):
        nonlocal failed, n
        n += 1
        failed += not good
        print(f'{"ok" if good else "not ok"} {n} - {what}')

    def has(pattern):
        return any(re.search(pattern, name, re.I) for name in names)
    for state in STATES:
        for anomaly, words in ANOMALIES.items():
            check(has(rf' {SPELLED.get(state, state)}_\w*({words})'), f'{state}: {anomaly}')
    for what, words in PAIRS.items():
        check(has(words), what)
    check(len(names) >= LEAST, f'{len(names)} scripts are at least {LEAST}')
    print(f'1..{n}')
    return failed != 0


sys.exit(main())
