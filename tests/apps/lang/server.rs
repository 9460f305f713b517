// SPDX-License-Identifier: Apache-2.0
//! Rust: std::thread, channels, panics caught and joined, an overflown stack's report in a child.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{exit, Command};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::Duration;

fn work() -> String {
    let all: Vec<_> = (0..4u64)
        .map(|seed| thread::spawn(move || (0..100000).fold(seed, |a, i| (a * 31 + i) % 1000003)))
        .collect();
    let said: Vec<_> = all.into_iter().map(|t| t.join().unwrap().to_string()).collect();
    said.join(" ") + "\n"
}

fn child() -> String {
    let out = Command::new("/bin/echo").arg("through a child").output().expect("no child");
    String::from_utf8(out.stdout).unwrap()
}

fn deep(n: u64) -> u64 {
    let here = [n; 100];
    std::hint::black_box(&here);
    deep(n + 1) + here[(n % 100) as usize]
}

fn own() -> String {
    let panicked = thread::spawn(|| { let v: Vec<i32> = vec![]; v[std::hint::black_box(3)] }).join().is_err();
    let (tx, rx) = mpsc::channel();
    let total = Arc::new(Mutex::new(0));
    for i in 0..100 {
        let (tx, total) = (tx.clone(), total.clone());
        thread::spawn(move || { *total.lock().unwrap() += i; tx.send(i).unwrap(); });
    }
    drop(tx);
    let sum: i32 = rx.iter().sum();
    let late = mpsc::channel::<i32>().1.recv_timeout(Duration::from_millis(20)).is_err();
    let me = std::env::current_exe().unwrap();
    let out = Command::new(me).arg("overflow").output().expect("no child");
    let said = String::from_utf8_lossy(&out.stderr).contains("has overflowed its stack");
    format!("{} {} {} {} {}\n", panicked, sum, *total.lock().unwrap(), late, said)
}

fn serve(mut s: TcpStream) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        match s.read(&mut part) {
            Ok(n) if n > 0 => request.extend(&part[..n]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or("");
    let body = match path {
        "/work" => work(),
        "/child" => child(),
        "/own" => own(),
        "/quit" => "bye\n".to_string(),
        _ => "hello\n".to_string(),
    };
    let _ = write!(s, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.len(), body);
    drop(s);
    if path == "/quit" {
        exit(3);
    }
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("overflow") {
        println!("{}", deep(0));
    }
    for s in TcpListener::bind("0.0.0.0:8080").unwrap().incoming().flatten() {
        thread::spawn(move || serve(s));
    }
}
