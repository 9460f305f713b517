#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gen_scripts.py OUT FILE...: packet scripts (script.h) to a C file with one TEST each.

In a file:   == NAME        a script          -- NAME     a fragment      use NAME   its lines
             each X: A B C  the following paragraph once for each, {X} replaced;  #  a comment
             repeat N I ... end    the lines N times, {I}, {I*1460+1} replaced
"""
import os
import re
import sys


def fill(text, values):
    def one(m):
        try:
            return str(eval(m.group(1), {'__builtins__': {}}, values))  # the scripts are ours
        except NameError:
            return m.group(0)
    return re.sub(r'\{([^}]*)\}', one, text)


def expand(lines, fragments, values):
    out, i = [], 0
    while i < len(lines):
        number, text = lines[i]
        words = text.split()
        i += 1
        if words[0] == 'use':
            name = fill(words[1], values)
            if name not in fragments:
                sys.exit(f'line {number}: no fragment {name}')
            out += expand(fragments[name], fragments, values)
        elif words[0] == 'repeat':
            body, depth = [], 1
            while True:
                if i == len(lines):
                    sys.exit(f'line {number}: repeat without end')
                depth += {'repeat': 1, 'end': -1}.get(lines[i][1].split()[0], 0)
                i += 1
                if depth == 0:
                    break
                body.append(lines[i - 1])
            for k in range(int(fill(words[1], values))):
                out += expand(body, fragments, {**values, words[2]: k})
        else:
            out.append((number, fill(text, values)))
    return out


def parse(path):
    fragments, scripts, into, each = {}, [], None, None
    for number, line in enumerate(open(path), 1):
        text = line.split('#')[0].strip()
        if not text:
            continue
        if m := re.match(r'each (\w+): (.*)', text):
            each = (m.group(1), m.group(2).split())
        elif text.startswith('-- '):
            into = fragments.setdefault(text[3:], [])
        elif text.startswith('== '):
            into = []
            scripts.append((text[3:], into, each))
            each = None
        elif into is None:
            sys.exit(f'{path}:{number}: outside of a script')
        else:
            into.append((number, text))
    for name, lines, each in scripts:
        for value in each[1] if each else [None]:
            values = {each[0]: value} if each else {}
            yield fill(name, values), expand(lines, fragments, values)


def main():
    seen = set()
    with open(sys.argv[1], 'w') as f:
        f.write('/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by gen_scripts.py. */\n#include "kernel/net/test/script.h"\n')
        for path in sys.argv[2:]:
            stem = os.path.splitext(os.path.basename(path))[0]
            for name, lines in parse(path):
                ident = re.sub(r'\W', '_', f'{stem}_{name}')
                if ident in seen:
                    sys.exit(f'{path}: {name} twice')
                seen.add(ident)
                text = ', '.join('"' + t.replace('"', '\\"') + '"' for _, t in lines)
                numbers = ', '.join(str(n) for n, _ in lines)
                f.write(f'\nTEST({ident})\n{{\n    static const char *const lines[] = {{ {text}, NULL }};\n'
                        f'    static const int numbers[] = {{ {numbers} }};\n    script_run("{stem}.tcp", lines, numbers);\n}}\n')


if __name__ == '__main__':
    main()
