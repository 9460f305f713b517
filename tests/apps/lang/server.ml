(* SPDX-License-Identifier: Apache-2.0 *)
(* OCaml: a thread for each connection, processes with pipes, an overflown stack as an exception, garbage compacted. *)
let rec count a i = if i = 100000 then a else count (((a * 31) + i) mod 1000003) (i + 1)

let forked seed =
  let r, w = Unix.pipe () in
  match Unix.fork () with
  | 0 ->
      let out = Unix.out_channel_of_descr w in
      output_string out (string_of_int (count seed 0));
      flush out;
      Unix._exit 0
  | pid ->
      Unix.close w;
      (pid, Unix.in_channel_of_descr r)

let work () =
  let result (pid, ic) =
    let line = input_line ic in
    close_in ic;
    ignore (Unix.waitpid [] pid);
    line
  in
  String.concat " " (List.map result (List.map forked [ 0; 1; 2; 3 ])) ^ "\n"

let child () =
  let ic = Unix.open_process_in "/bin/echo through a child" in
  let line = input_line ic in
  ignore (Unix.close_process_in ic);
  line ^ "\n"

let rec deep n = 1 + deep (n + 1)

let own () =
  let overflow = try string_of_int (deep 0) with Stack_overflow -> "overflow" in
  let total = ref 0 and m = Mutex.create () in
  let add i = Mutex.lock m; total := !total + i; Mutex.unlock m in
  List.iter Thread.join (List.init 50 (Thread.create add));
  let keep = ref [] in
  for i = 1 to 200000 do
    keep := if i mod 1000 = 0 then [] else Bytes.create 100 :: !keep
  done;
  Gc.compact ();
  Thread.delay 0.02;
  Printf.sprintf "%s %d %b\n" overflow !total (Gc.((quick_stat ()).compactions) > 0)

let serve fd =
  let ic = Unix.in_channel_of_descr fd in
  let path = List.nth (String.split_on_char ' ' (input_line ic)) 1 in
  while input_line ic <> "\r" do () done;
  let body =
    match path with
    | "/work" -> work ()
    | "/child" -> child ()
    | "/own" -> own ()
    | "/quit" -> "bye\n"
    | _ -> "hello\n"
  in
  let answer = Printf.sprintf "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" (String.length body) body in
  ignore (Unix.write_substring fd answer 0 (String.length answer));
  close_in ic;
  if path = "/quit" then Unix._exit 3

let () =
  let s = Unix.socket ~cloexec:true Unix.PF_INET Unix.SOCK_STREAM 0 in
  Unix.bind s (Unix.ADDR_INET (Unix.inet_addr_any, 8080));
  Unix.listen s 64;
  while true do
    ignore (Thread.create serve (fst (Unix.accept ~cloexec:true s)))
  done
