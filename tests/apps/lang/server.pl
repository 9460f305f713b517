# SPDX-License-Identifier: Apache-2.0
# Perl: a process for each connection, pipes between processes, alarm, die in a handler.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX qw(:sys_wait_h _exit);

sub count {
    my $a = shift;
    $a = ($a * 31 + $_) % 1000003 for 0 .. 99999;
    return $a;
}

# Four children at once, each with a pipe of its own.
sub work {
    my @results = map {
        my $seed = $_;
        my $pid = open(my $from, '-|') // die "fork: $!";
        if ($pid == 0) { print count($seed); exit 0 }
        $from;
    } 0 .. 3;
    return join(' ', map { my $from = $_; my $line = <$from>; close $from; $line } @results) . "\n";
}

sub own {
    my $late = 'in time';
    local $SIG{ALRM} = sub { die "late\n" };
    eval { alarm 1; 1 while 1; };
    $late = $@ if $@;
    chomp $late;
    socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
    my $pid = fork // die;
    if ($pid == 0) { syswrite $b, uc <$b>; _exit(7) }
    syswrite $a, "through a socket\n";
    my $said = <$a>;
    chomp $said;
    waitpid $pid, 0;
    my $status = $? >> 8;
    return "$late, $said $status\n";
}

sub serve {
    my $c = shift;
    my ($path) = (<$c> // '') =~ m{^GET (\S+)};
    while (defined(my $line = <$c>)) { last if $line eq "\r\n" }
    my $body = $path eq '/work' ? work() : $path eq '/child' ? `/bin/echo through a child` : $path eq '/own' ? own()
        : $path eq '/quit' ? "bye\n" : "hello\n";
    print $c "HTTP/1.0 200 OK\r\nContent-Length: @{[length $body]}\r\n\r\n$body";
    close $c;
    kill TERM => getppid if $path eq '/quit';
}

my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die "listen: $!";
my $parent = $$;
$SIG{TERM} = sub { exit 3 };
while (1) {
    my $c = $server->accept or next;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) { $SIG{TERM} = 'DEFAULT'; serve($c); exit 0 }
    close $c;
    1 while waitpid(-1, WNOHANG) > 0;
}
