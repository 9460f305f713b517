#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py IN OUT: the bytes of a file as the inside of a C array initialiser."""
import sys

data = open(sys.argv[1], 'rb').read()
with open(sys.argv[2], 'w') as f:
    for i in range(0, len(data), 20):
        f.write(''.join(f'{b},' for b in data[i:i + 20]) + '\n')
