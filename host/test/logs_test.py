#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where detached programs' output goes: journald, syslog, none; readers that are slow or away; drupe logs by time. With a stand-in for the
kernel of a process: logs_test.py DRUPE FAKE_HOST"""
import datetime
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

from lib import DRUPE, WORK, check, compile_c, done, environment, until

JOURNAL = WORK + '/journal'
ENV = environment(DRUPE_HOST_KERNEL=sys.argv[2], DRUPE_RUN=WORK + '/run', DRUPE_JOURNAL_SOCKET=JOURNAL)
HELLO = compile_c('hello', 'int main(void){return 0;}')


def drupe(*args):
    r = subprocess.run([DRUPE, *args], env=ENV, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    return r.returncode, r.stdout.decode(errors='replace'), r.stderr.decode(errors='replace')


def detached(what, *options):
    return drupe('run', '-d', '--on', 'host', *options, HELLO, what)


def inspect(name):
    return json.loads(drupe('inspect', name)[1])[0]


def listen(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    s.settimeout(120)
    return s


def fields(datagram):
    found = {}
    while datagram:
        line, _, datagram = datagram.partition(b'\n')
        name, equals, value = line.partition(b'=')
        if not equals:
            n = struct.unpack('<Q', datagram[:8])[0]
            value, datagram = datagram[8:8 + n], datagram[8 + n + 1:]
        found[name.decode()] = value
    return found


status, out, err = detached('exit3', '--log-driver', 'journald')
check(status == 125 and 'nobody listens' in err, 'no journal: refused', (status, err))
journal = listen(JOURNAL)
status, out, err = detached('exit3', '--name', 'j', '--log-driver', 'journald')
ident = out.strip()
both = {f['PRIORITY']: f for f in (fields(journal.recv(65536)) for _ in range(2))}
check(both[b'6']['MESSAGE'] == b'to stdout\0\xff' and both[b'3']['MESSAGE'] == b'to stderr', 'lines as messages, by priority', both)
check(all(f['CONTAINER_NAME'] == b'j' and f['CONTAINER_ID_FULL'].decode() == ident and f['CONTAINER_ID'].decode() == ident[:12] and
          f['SYSLOG_IDENTIFIER'].decode() == ident[:12] and 'CONTAINER_PARTIAL_MESSAGE' not in f for f in both.values()), "Docker's fields", both)
status, out, err = drupe('logs', 'j')
check(status == 1 and f'journalctl CONTAINER_ID_FULL={ident}' in err and inspect('j')['LogDriver'] == 'journald', 'logs says where they are', err)

detached('lines', '--name', 'slow', '--log-driver', 'journald', '--log-opt', 'tag=web')
tender = inspect('slow')['Pid']
time.sleep(0.3) # the socket holds a few datagrams: the rest waits in drupe
os.kill(tender, signal.SIGSTOP)
until(lambda: open(f'/proc/{tender}/stat').read().rsplit(')', 1)[1].split()[0] == 'T') # not while it sends one
got = [fields(journal.recv(65536)) for _ in range(5)]
journal.setblocking(False)
while True:
    try:
        got.append(fields(journal.recv(65536)))
    except BlockingIOError:
        break
journal.close()
os.unlink(JOURNAL)
os.kill(tender, signal.SIGCONT)
time.sleep(0.3)
journal = listen(JOURNAL)
while len(got) < 5000:
    got.append(fields(journal.recv(65536)))
check([f['MESSAGE'].decode() for f in got] == [f'line {i}' for i in range(5000)] and got[0]['CONTAINER_TAG'] == b'web',
      'a journal that is slow, then away, then back: every line, in order', got[-1])
check(drupe('wait', 'slow')[1] == '0\n' and 'LogBytesLost' not in inspect('slow'), 'nothing lost')

detached('endless', '--name', 'full', '--log-driver', 'journald')
tender = inspect('full')['Pid']


def memory_kib():
    return int(re.search(r'VmRSS:\s+(\d+)', open(f'/proc/{tender}/status').read())[1])


time.sleep(1)
held = memory_kib()
time.sleep(1)
check(memory_kib() - held < 512 and held < 40000, 'the program waits while nobody reads: memory is bounded', (held, memory_kib()))
check(drupe('stop', '-t', '0', 'full')[0] == 0 and inspect('full')['LogBytesLost'] > 100000, 'and at its end what nobody took is counted')

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(('127.0.0.1', 0))
udp.settimeout(120)
port = udp.getsockname()[1]
RFC5424 = rb'<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (\S+) (\S+) (\d+) - - (.*)'
detached('exit3', '--name', 's', '--log-driver', 'syslog', '--log-opt', f'syslog-address=udp://127.0.0.1:{port}', '--log-opt', 'tag=web',
         '--log-opt', 'syslog-facility=local3')
lines = {m[1]: m for m in (re.fullmatch(RFC5424, udp.recv(65536), re.S) for _ in range(2))}
check(set(lines) == {b'158', b'155'} and lines[b'155'][6] == b'to stderr' and lines[b'158'][4] == b'web' and
      lines[b'158'][3].decode() == socket.gethostname(), 'syslog by UDP, RFC 5424', lines)
log = listen(WORK + '/log')
detached('exit3', '--name', 't', '--log-driver', 'syslog', '--log-opt', f'syslog-address=unixgram://{WORK}/log')
lines = {m[1] for m in (re.fullmatch(RFC5424, log.recv(65536), re.S) for _ in range(2))}
check(lines == {b'30', b'27'}, 'and to a socket', lines)

detached('exit3', '--name', 'n', '--log-driver', 'none')
check(drupe('wait', 'n')[1] == '3\n' and drupe('logs', 'n')[0] == 1 and
      not [f for f in os.listdir(inspect('n')['Dir']) if f.startswith('log')], 'none keeps nothing')
for options in (['--log-driver', 'splunk'], ['--log-driver', 'none', '--log-opt', 'max-file=2'], ['--log-opt', 'tag=x'],
                ['--log-driver', 'syslog', '--log-opt', 'syslog-address=tcp://1.2.3.4'], ['--log-opt', 'tag={{.Name}}'],
                ['--log-driver', 'syslog', '--log-opt', 'syslog-facility=x'], ['--log-opt', 'x=y']):
    status, out, err = detached('exit3', *options)
    check(status == 125 and '--log' in err, 'refused: ' + ' '.join(options), (status, err))
status, out, err = drupe('run', '--on', 'host', '--log-driver', 'none', HELLO, 'exit3')
check(status == 125 and 'without -d' in err, 'refused: without -d', (status, err))

detached('lines', '--name', 'times')
drupe('wait', 'times')
rows = [json.loads(line) for line in open(inspect('times')['Dir'] + '/log.json')]
since, until = rows[1000]['time'], rows[2999]['time']
texts = [r['log'] for r in rows if since <= r['time'] <= until]
check(drupe('logs', '--since', since, '--until', until, 'times')[1] == ''.join(texts), '--since, --until: both ends are in')
check(drupe('logs', '--since', since, '--until', until, '-n', '3', 'times')[1] == ''.join(texts[-3:]), 'and the last three of those')
there = datetime.datetime.fromisoformat(since[:26]).replace(tzinfo=datetime.timezone.utc)
moved = there.astimezone(datetime.timezone(datetime.timedelta(hours=-5))).isoformat()
seconds = str(int(there.timestamp()))
check(len(drupe('logs', '--since', moved, 'times')[1].splitlines()) >= 4000 and drupe('logs', '--since', '1h', 'times')[1].count('\n') == 5000 and
      drupe('logs', '--until', '1h30m', 'times')[1] == '' and drupe('logs', '--since', seconds, 'times')[1].count('\n') > 3000 and
      drupe('logs', '--until', '2001-01-01', 'times')[1] == '', 'times in other words')
check(all(drupe('logs', '--since', t, 'times')[0] == 125 for t in ('', 'x', '10x', '2026-13-01', '2026-01-01T00:00:00+99:00', '253402300800', '9' * 20)),
      'what is no time is refused')
stamped = drupe('logs', '-t', '-n', '2', 'times')[1].splitlines()
check(stamped == [f'{r["time"]} {r["log"].rstrip()}' for r in rows[-2:]], 'logs -t', stamped)

detached('longline', '--name', 'long')
drupe('wait', 'long')
text = drupe('logs', '-t', 'long')[1]
check(text.count('Z ') == 2 and len(text) == 2 * 31 + 40001 + 6, 'a line longer than a piece has one time', (text[:40], len(text)))

detached('stubborn', '--name', 'f')
begin = time.monotonic()
soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)).isoformat().replace('+00:00', 'Z')
check(drupe('logs', '-f', '--until', soon, 'f')[1] == 'ready\n' and 0.5 < time.monotonic() - begin < 60, 'logs -f --until ends by itself')
for name in ('f', 's', 't', 'n', 'j', 'slow', 'full', 'times', 'long'):
    drupe('rm', '-f', name)
left = drupe('ps', '-a', '--format', 'json')
check(left == (0, '', ''), 'nothing is left', left)
done()
