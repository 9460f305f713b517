-- SPDX-License-Identifier: Apache-2.0
-- Lua and LuaJIT: LuaSocket, coroutines, errors caught, a child by popen, garbage.
local socket = require('socket')

local function work()
  local workers, said = {}, {}
  for seed = 0, 3 do
    workers[seed + 1] = coroutine.wrap(function()
      local a = seed
      for i = 0, 99999 do
        a = (a * 31 + i) % 1000003
        if i % 1000 == 999 and i < 99999 then coroutine.yield() end
      end
      return a
    end)
  end
  for turn = 1, 100 do
    for k = 1, 4 do said[k] = workers[k]() end
  end
  return table.concat(said, ' ') .. '\n'
end

local function child()
  local f = io.popen('/bin/echo through a child')
  local line = f:read('*a')
  f:close()
  return line
end

local function own()
  local fine, err = pcall(coroutine.wrap(function() error('thrown', 0) end))
  for i = 1, 200000 do local t = { i, tostring(i) } end
  local before = collectgarbage('count')
  collectgarbage()
  return string.format('%s %s, %s\n', fine, err, collectgarbage('count') < before)
end

local answers = { ['/work'] = work, ['/child'] = child, ['/own'] = own, ['/quit'] = function() return 'bye\n' end }
local server = assert(socket.bind('0.0.0.0', 8080, 64))
while true do
  local c = server:accept()
  local path = (c:receive() or ''):match('^GET (%S+)')
  while (c:receive() or '') ~= '' do end
  local body = (answers[path] or function() return 'hello\n' end)()
  c:send('HTTP/1.0 200 OK\r\nContent-Length: ' .. #body .. '\r\n\r\n' .. body)
  c:close()
  if path == '/quit' then os.exit(3) end
end
