%% SPDX-License-Identifier: Apache-2.0
%% Erlang: gen_tcp, thousands of processes, a crash seen by a monitor, ets, timers, a port.
-module(server).
-export([main/0]).

count(A, 100000) -> A;
count(A, I) -> count((A * 31 + I) rem 1000003, I + 1).

%% Do F(X) for every X in processes of their own; the results in order.
each(F, Xs) ->
    Me = self(),
    Refs = [begin R = make_ref(), spawn_link(fun() -> Me ! {R, F(X)} end), R end || X <- Xs],
    [receive {R, Y} -> Y end || R <- Refs].

work() -> io_lib:format("~b ~b ~b ~b~n", each(fun(Seed) -> count(Seed, 0) end, [0, 1, 2, 3])).

own() ->
    {_, Monitor} = spawn_monitor(fun() -> exit(crashed) end),
    Why = receive {'DOWN', Monitor, process, _, W} -> W end,
    Table = ets:new(t, [public]),
    Sum = lists:sum(each(fun(N) -> ets:insert(Table, {N}), N end, lists:seq(1, 5000))),
    Late = receive never -> no after 20 -> late end,
    io_lib:format("~p ~p ~p ~p~n", [Why, Sum, ets:info(Table, size), Late]).

answer("/work") -> work();
answer("/child") -> os:cmd("/bin/echo through a child");
answer("/own") -> own();
answer("/quit") -> "bye\n";
answer(_) -> "hello\n".

serve(S) ->
    {ok, {http_request, 'GET', {abs_path, Path}, _}} = gen_tcp:recv(S, 0),
    headers(S),
    Body = iolist_to_binary(answer(Path)),
    ok = gen_tcp:send(S, ["HTTP/1.0 200 OK\r\nContent-Length: ", integer_to_list(byte_size(Body)), "\r\n\r\n", Body]),
    gen_tcp:close(S),
    Path =:= "/quit" andalso halt(3).

headers(S) ->
    case gen_tcp:recv(S, 0) of
        {ok, http_eoh} -> ok;
        {ok, _} -> headers(S)
    end.

accept(L) ->
    {ok, S} = gen_tcp:accept(L),
    Pid = spawn(fun() -> receive go -> serve(S) end end),
    ok = gen_tcp:controlling_process(S, Pid),
    Pid ! go,
    accept(L).

main() ->
    {ok, L} = gen_tcp:listen(8080, [list, {packet, http}, {active, false}, {reuseaddr, true}, {backlog, 64}]),
    accept(L).
