#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drupe run -it on a terminal of ours: the instance's line discipline, ^C, window sizes, the terminal put back."""
import termios

from lib import check, done, same
from screen import Terminal

# A signal that comes just before a read must not wait for the read's end, as it does in Python: hence the pipe.
PROGRAM = '''
import os, select, signal
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
wake, waker = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(waker)
signal.signal(signal.SIGWINCH, lambda *_: say("window", *os.get_terminal_size()))
signal.signal(signal.SIGINT, lambda *_: say("interrupted"))
say("start", *os.get_terminal_size(), *(os.isatty(fd) for fd in range(3)), os.environ.get("TERM"))
line = b"?"
while line:
    ready = select.select([0, wake], [], [])[0]
    if wake in ready:
        os.read(wake, 100)
    if 0 in ready:
        line = os.read(0, 1000)
        if line:
            say("line", ascii(line.decode()))
say("end of input")
os._exit(7)
'''


t = Terminal(30, 100, '/usr/bin/python3', '-c', PROGRAM)
t.expect(b'start 100 30 True True True vt220\r\n', 'size, terminals and TERM at the start')
mode = termios.tcgetattr(t.fd)
check(not mode[3] & (termios.ICANON | termios.ECHO | termios.ISIG), 'the terminal here is raw meanwhile')
t.type(b'ab')
t.expect(b'ab', 'characters are echoed before the line ends')
t.type(b'c\x7f')
t.expect(b'c\b \b', 'backspace rubs out')
t.type(b'd\r')
t.expect(b"d\r\nline 'abd\\n'\r\n", 'the line as edited; \\r in, \\r\\n out')
t.type(b'xyz\x15q\r')
t.expect(b"line 'q\\n'", '^U takes the line back')
t.type(b'one two\x17\r')
t.expect(b"line 'one \\n'", '^W takes a word back')
t.type(b'lost\x03')
t.expect(b'^C', '^C is shown')
t.expect(b'interrupted\r\n', 'and interrupts the program')
t.type(b'next\r')
t.expect(b"line 'next\\n'", 'what was typed before ^C is gone')
t.resize(40, 132)
t.expect(b'window 132 40\r\n', 'a new window size: SIGWINCH and TIOCGWINSZ')
t.type(b'\x04')
t.expect(b'end of input\r\n', '^D ends the input')
same(t.end(), 7, "the program's exit status")
after = termios.tcgetattr(t.fd)[3]
check(after & termios.ICANON and after & termios.ECHO, 'the terminal is as it was')
done()
