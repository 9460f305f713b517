# SPDX-License-Identifier: Apache-2.0
# Ruby: threads, fork, spawn, a stack overflow rescued, a time-out, garbage compacted.
require 'socket'
require 'timeout'
require 'open3'

def work
  (0...4).map { |seed| Thread.new { (0...100_000).inject(seed) { |a, i| (a * 31 + i) % 1_000_003 } } }.map(&:value).join(' ') + "\n"
end

def deep = deep + 1

def forked
  r, w = IO.pipe
  pid = fork do
    r.close
    w.write('from a fork')
    exit! 7
  end
  w.close
  said = r.read
  Process.wait(pid)
  "#{said} #{$?.exitstatus}"
end

def own
  overflow = begin
    deep
  rescue SystemStackError
    'overflow'
  end
  late = begin
    Timeout.timeout(0.05) { loop {} }
  rescue Timeout::Error
    'late'
  end
  GC.compact
  "#{forked}, #{overflow}, #{late}, #{GC.count.positive?}\n"
end

def serve(s)
  path = s.gets.to_s.split[1]
  nil until ["\r\n", nil].include?(s.gets)
  body = case path
         when '/work' then work
         when '/child' then Open3.capture2('/bin/echo', 'through a child')[0]
         when '/own' then own
         when '/quit' then "bye\n"
         else "hello\n"
         end
  s.write("HTTP/1.0 200 OK\r\nContent-Length: #{body.bytesize}\r\n\r\n#{body}")
  s.close
  exit!(3) if path == '/quit'
end

server = TCPServer.new('0.0.0.0', 8080)
loop { Thread.new(server.accept) { |s| serve(s) } }
