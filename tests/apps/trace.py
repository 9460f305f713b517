#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drupe trace: tracepoints of a running instance as text, JSON lines and a Chrome trace."""
import json
import os
import re
import signal
import subprocess
import tempfile
import time

from lib import DRUPE, ON, check, command, done, own_list, polls, redis, same, talk, until

work = own_list('trace')


def trace(name, *args, wanted, meanwhile=lambda: None):
    """Until all that is wanted has been written."""
    with tempfile.TemporaryFile() as f:
        def text():
            return os.pread(f.fileno(), 1 << 26, 0).decode()

        p = subprocess.Popen([DRUPE, 'trace', *args, name], stdout=f)
        until(lambda: text() or polls(p, 2))
        meanwhile()
        until(lambda: all(len(re.findall(w, text())) >= n for w, n in wanted.items()))
        p.send_signal(signal.SIGINT)
        return p.wait(60), text()


status, out, err = command('run', *ON, '-d', '--name', 'sh', '--net', 'none', '--add', '/bin/true', '/bin/sh', '-c',
                           'trap : USR1; while :; do (kill -USR1 1; exit 3); /bin/true; done')
check(status == 0, 'run -d', err)
status, out, err = command('trace', '-l', 'sh')
names = [l.split()[0] for l in out.splitlines()]
same(command('trace', '-l'), (0, out, ''), '-l without an instance says the same')
check(status == 0 and len(names) >= 12 and {'sched:switch', 'net:tcp_state', 'mm:fault', 'block:complete'} <= set(names), '-l', (out, err))
status, text = trace('sh', '-e', 'process:*', '-e', 'sched:switch', '-e', 'signal:deliver', '-e', 'mm:fault', '-e', 'fs:open',
                     wanted={'process:fork': 1, 'process:exec': 1, 'sched:switch': 1, 'process:exit .*=3 ': 1, 'signal:deliver': 1, 'mm:fault': 1, 'fs:open': 1})
first = {}
for l in text.splitlines():
    m = re.fullmatch(r' *\d+\.\d{6} \[\d+\] +\d+/\d+ +(\S+) +(.*)', l)
    if m is None:
        check(False, 'every line is an event', l)
        break
    first.setdefault(m[1], m[2])
check(status == 0 and re.fullmatch(r'child_pid=\d+ child_tid=\d+', first.get('process:fork', '')), 'process:fork', first)
check(first.get('process:exec') == 'program=/bin/true' and 'next=' in first.get('sched:switch', ''), 'process:exec, sched:switch', first)
check(any(re.search(r'process:exit +code=3 signal=0 last=1', l) for l in text.splitlines()), 'process:exit with its code', first)
check(any(re.search(r'signal:deliver +signal=10 code=0 handler=0x', l) for l in text.splitlines()), 'signal:deliver', first)
check(re.match(r'address=0x[0-9a-f]+ access=\d result=', first.get('mm:fault', '')) and 'fs:open' in first, 'mm:fault, fs:open', first)
status, text = trace('sh', '-e', 'process:exit', '--format', 'json', wanted={'"code":': 8})
rows = [json.loads(l) for l in text.splitlines()]
check(status == 0 and len(rows) > 3 and {r['fields']['code'] for r in rows} <= {0, 3} and abs(rows[-1]['time_ns'] / 1e9 - time.time()) < 30,
      'JSON lines', rows[:2])
status, text = trace('sh', '-e', 'process:*', '--format', 'chrome', wanted={'process:fork': 3, 'process:exec': 3, 'process:exit': 3})
events = json.loads(text)['traceEvents']
check(status == 0 and {e['name'] for e in events} >= {'process:fork', 'process:exec', 'process:exit'} and all(e['ph'] in 'iM' for e in events),
      'a Chrome trace', events[:2])
status, out, err = command('trace', '-e', 'sched:*', '-o', '/dev/full', 'sh')
check(status == 125 and '/dev/full' in err, 'a full disk ends it and is named', (status, err))
for words in (('-e', 'no:such', 'sh'), ('sh',), ('-e', 'sched:switch', '--format', 'xml', 'sh'), ()):
    check(command('trace', *words)[0] == 125, 'refused: ' + ' '.join(words))
command('rm', '-f', 'sh')

port = redis('r')
status, text = trace('r', '-e', 'net:*', '-e', 'irq:*', wanted={'net:tcp_state': 12, 'irq:handler': 1}, meanwhile=lambda: [talk(port, b'PING\r\n') for _ in range(5)])
states = re.findall(r'net:tcp_state +local_port=6379 remote_port=\d+ old=(\d+) new=(\d+)', text)
check(('3', '1') in states and len(states) >= 10 and re.search(r'irq:handler .*handler="?[a-z]\w+', text), 'connections come and go', states[:10])
command('rm', '-f', 'r')
done()
