#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drupe run -it on a terminal of ours: the instance's line discipline, ^C, window sizes, the terminal put back."""
import fcntl
import os
import pty
import select
import struct
import termios
import time

from lib import DRUPE, ON, check, done, same

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


class Terminal:
    """A pseudo terminal with `drupe run -it` in its foreground."""

    def __init__(self, rows, cols, *args):
        self.seen = b''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                self.fd = 0
                self.resize(rows, cols)
                os.execvpe(DRUPE, [DRUPE, 'run', *ON, '-it', *args], dict(os.environ, TERM='vt220'))
            finally:
                os._exit(99)

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))

    def type(self, keys):
        os.write(self.fd, keys)

    def expect(self, want, text, seconds=120):
        """`want` appears; what came before it, and it, is used up."""
        end = time.monotonic() + seconds
        while want not in self.seen and time.monotonic() < end:
            if not select.select([self.fd], [], [], 1)[0]:
                continue
            try:
                more = os.read(self.fd, 4096)
            except OSError: # the other side is gone
                break
            self.seen += more
        found = want in self.seen
        check(found, text, f'wanted {want!r} in {self.seen!r}')
        self.seen = self.seen.partition(want)[2] if found else b''


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
status = os.waitstatus_to_exitcode(os.waitpid(t.pid, 0)[1])
same(status, 7, "the program's exit status")
after = termios.tcgetattr(t.fd)[3]
check(after & termios.ICANON and after & termios.ECHO, 'the terminal is as it was')
done()
