#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs of languages and kinds that no other test has: each says in Drupe what it says on the host's Linux."""
import os
import shlex
import shutil
import subprocess
import tempfile

from lib import ON, done, drupe, same

BASH = ['/bin/bash', '-c']


def adds(programs):
    return [a for p in ['sh', 'cat', 'ls', 'mkdir', 'rm', 'sleep', 'md5sum', 'head', *programs.split()] for a in ('--add', shutil.which(p) or p)]


def job(what, options, argv, stdin=b''):
    """The same status and output, whatever they are; a program that only fails says nothing, so it must succeed there."""
    with tempfile.TemporaryDirectory(prefix='drupe-test-others-') as here:
        native = subprocess.run(argv, input=stdin, capture_output=True, cwd=here, timeout=300)
    same(native.returncode, 0, what + ': on this Linux')
    same(drupe('-w', '/tmp', *options, *argv, stdin=stdin, timeout=300)[:2], (0, native.stdout), what)


# --- languages ---
job('Guile: threads, a child', [], ['guile', '-c', '''(use-modules (ice-9 threads)) (display (par-map (lambda (x) (* x x)) (iota 20)))
 (display (status:exit-val (cdr (waitpid (let ((p (primitive-fork))) (if (= p 0) (primitive-_exit 3) p))))))'''])
job('SBCL: threads, garbage, an overflown stack, a deadline', [], ['sbcl', '--noinform', '--non-interactive', '--eval', '''(progn
 (print (expt 2 200)) (print (sb-thread:join-thread (sb-thread:make-thread (lambda () (loop for i below 1000000 sum i))))) (gc :full t)
 (print (handler-case (labels ((f (x) (+ 1 (f (+ x 1))))) (f 0)) (sb-kernel::control-stack-exhausted () :exhausted)))
 (print (handler-case (sb-sys:with-deadline (:seconds 0.1) (sleep 60)) (sb-sys:deadline-timeout () :late))))'''])
job('Gforth: a fault caught', [], ['gforth', '-e', ": f dup 2 < if drop 1 else dup 1- recurse swap 2 - recurse + then ; 20 f . : t 0 @ ; ' t catch . bye"])
job('Prolog: its library, threads, a time limit', [], ['swipl', '-q', '-g', '''numlist(1,20,L),concurrent_maplist([X,Y]>>(Y is X*X),L,M),print(M),nl,
 catch(call_with_time_limit(0.2,(repeat,fail)),E,(print(E),nl)),X9 is 7**77,print(X9),nl,halt'''])
job('Tcl: sockets, events, pipes', adds('echo'), ['tclsh'], b'''proc accepted {c a p} { puts $c hi; close $c }
set c [socket localhost [lindex [fconfigure [socket -server accepted 0] -sockname] 2]]
fileevent $c readable {set ::done 1}; vwait ::done; puts [gets $c]
puts [exec echo a | cat]
set p [open |cat r+]; puts $p q; flush $p; puts [gets $p]; close $p
''')

# --- tools ---
job('xz, zstd, pigz with threads', ['--cpus', '2', *adds('xz zstd pigz')], [*BASH, '''head -c 3000000 /bin/bash >a; for c in "xz -0 -T2" "zstd -T0" "pigz -p 4"; do
 $c <a | ${c%% *} -d | md5sum; done; md5sum <a; rm a'''])
job('ImageMagick: a module', [], ['/usr/bin/convert', '-size', '40x40', 'plasma:fractal', '-blur', '0x3', '-resize', '50%', '-format', '%wx%h\n', 'info:'])
job('sqlite3: a write-ahead log', [], ['sqlite3', 'x.db', '''pragma journal_mode=wal; create table t(a);
 with recursive c(x) as (select 1 union all select x+1 from c where x<20000) insert into t select x from c; select sum(a) from t; pragma integrity_check;'''])
job('GnuPG and its agent', adds('gpg gpg-agent gpgconf gpg-connect-agent /usr/lib/gnupg'), [*BASH, '''mkdir -m 700 gh; export GNUPGHOME=$PWD/gh
 gpg -q --batch --passphrase "" --quick-gen-key a@b default default never 2>err || cat err; echo hi | gpg -q --batch --trust-model always -e -r a@b 2>err | gpg -q --batch -d 2>err
 gpgconf --kill all; while ls gh/S.*; do sleep 0.1; done >/dev/null 2>&1; rm -r gh err'''])
job('D-Bus: who owns a name', adds('dbus-daemon dbus-run-session dbus-send /usr/share/dbus-1'), [*BASH, 'dbus-run-session -- ' + shlex.join(
    'dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetConnectionUnixUser string:org.freedesktop.DBus'.split())])
job('tmux', ['-e', 'TERM=xterm', '-e', 'LC_ALL=C.UTF-8', *adds('tmux bash')], [*BASH, '''export TERM=xterm LC_ALL=C.UTF-8; t="tmux -L drupe-test-$$ -f /dev/null"
 $t new-session -d -x 60 -y 10 "bash --norc"; $t send-keys 'echo a$((6*7))b' Enter
 until $t capture-pane -p | { while read l; do [ "$l" = a42b ] && exit; done; false; }; do sleep 0.1; done
 $t split-window "sleep 100"; until $t list-panes -F "#{pane_width}x#{pane_height} #{pane_current_command}" | { read a; read b; echo "$a $b" >o; [ "${b#* }" = sleep ]; }; do sleep 0.1; done
 cat o; rm o; $t kill-server'''])

# --- a compiler with headers of its own; not in emulation, where it takes long ---
if ON[1] == 'host':
    with tempfile.TemporaryDirectory(prefix='drupe-test-others-') as work:
        main = os.path.join(work, 'main.go')
        with open(main, 'w') as f:
            f.write('package main\nimport ("fmt"; "os/exec")\nfunc main() { out, err := exec.Command("echo", "child").Output(); fmt.Println(string(out), err) }\n')
        job('Go: compiled and run inside', ['-m', '1500M', '--cpus', '2', '-e', 'HOME=/tmp', '-e', 'CGO_ENABLED=0', '--add', main, *adds('echo')], ['go', 'run', main])
done()
