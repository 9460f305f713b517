# SPDX-License-Identifier: Apache-2.0
"""A pseudo terminal of ours with `drupe run -it` in its foreground."""
import fcntl
import os
import pty
import select
import struct
import termios
import time

from lib import DRUPE, ON, check


class Terminal:
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

    def shows(self, want, seconds):
        """`want` appears in time; what came before it, and it, is used up."""
        end = time.monotonic() + seconds
        while want not in self.seen and time.monotonic() < end:
            if not select.select([self.fd], [], [], 0.1)[0]:
                continue
            try:
                more = os.read(self.fd, 4096)
            except OSError: # the other side is gone
                break
            self.seen += more
        found = want in self.seen
        self.seen = self.seen.partition(want)[2] if found else self.seen
        return found

    def expect(self, want, text, seconds=120):
        check(self.shows(want, seconds), text, f'wanted {want!r} in {self.seen!r}')

    def end(self):
        """The exit status, when all is said."""
        self.shows(b'no such words', 120)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
