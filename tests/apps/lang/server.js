// SPDX-License-Identifier: Apache-2.0
// Node: http, worker threads that share memory, a child process, WebAssembly whose bounds are checked by faults, files.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { spawn } = require('child_process');
const fs = require('fs');
const http = require('http');

function count(a) {
  for (let i = 0; i < 100000; i++) a = (a * 31 + i) % 1000003;
  return a;
}

function inThread(what, value) {
  return new Promise((resolve, reject) => {
    new Worker(__filename, { workerData: { what, value } }).once('message', resolve).once('error', reject);
  });
}

async function work() {
  return (await Promise.all([0, 1, 2, 3].map((seed) => inThread('count', seed)))).join(' ') + '\n';
}

function child() {
  return new Promise((resolve) => {
    const p = spawn(process.execPath, ['-e', 'process.stdin.pipe(process.stdout)']);
    let said = '';
    p.stdout.on('data', (d) => (said += d)).on('end', () => resolve(said));
    p.stdin.end('through a child\n');
  });
}

// (memory 1) (func (export "at") (param i32) (result i32) local.get 0 i32.load)
const AT = Buffer.from('0061736d010000000106016001' + '7f017f' + '03020100' + '05030100' + '01' + '0706010261740000' + '0a0901070020002802000b', 'hex');

function outOfBounds() {
  const { at } = new WebAssembly.Instance(new WebAssembly.Module(AT)).exports;
  try {
    return at(0) === 0 && at(70000);
  } catch (e) {
    return e.message;
  }
}

async function own() {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const waiter = inThread('wait', shared);
  while (Atomics.notify(shared, 0) === 0) await new Promise((r) => setTimeout(r, 5));
  const path = `/tmp/node-${process.pid}`;
  await fs.promises.writeFile(path, 'x'.repeat(100000));
  const { size } = await fs.promises.stat(path);
  await fs.promises.unlink(path);
  return `${await waiter}, ${outOfBounds()}, ${size}\n`;
}

function serve() {
  const answers = { '/work': work, '/child': child, '/own': own, '/quit': () => 'bye\n' };
  http.createServer(async (request, response) => {
    const f = answers[request.url] || (() => 'hello\n');
    response.end(await Promise.resolve().then(f).catch(String));
    if (request.url === '/quit') setTimeout(() => process.exit(3), 100);
  }).listen(8080);
}

if (isMainThread) serve();
else if (workerData.what === 'count') parentPort.postMessage(count(workerData.value));
else parentPort.postMessage(Atomics.wait(workerData.value, 0, 0));
