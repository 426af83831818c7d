// Drains a queue that was filled before, and says how long it took: `node drain.mjs TASKS LIMIT PROCESSES [VARIANT]`.
//
// Beside it lies the peer's `peer.mjs`, which exports
//   prepare(url, tasks)            makes the schema and queues tasks with the ids 0 … tasks - 1
//   unfinished(client)             how many tasks the database does not say to be done
//   work(url, variant, ran)        begins to work; calls ran(id) when a task's code runs
//
// The clock runs from the moment at which all processes, with everything loaded, are told to begin, to the moment at
// which the database says that every task is done.

import { fork } from "node:child_process";
import pg from "pg";
import * as peer from "./peer.mjs";

const url = process.env.DATABASE_URL;
const [tasks, limit, processes] = process.argv.slice(2, 5).map(Number);
const variant = process.argv[5];
const POLL_MS = 2;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function measure() {
  await peer.prepare(url, tasks);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("vacuum analyze");
  await client.query("checkpoint");

  const workers = await Promise.all(Array.from({ length: processes }, startWorker));
  const begin = performance.now();
  const elapsed = () => (performance.now() - begin) / 1000;
  for (const worker of workers) worker.child.send("begin");
  let left = tasks;
  while (left > 0 && elapsed() < limit) {
    await sleep(POLL_MS);
    // Asking the database costs it something: only when every task has begun.
    const ran = workers.reduce((sum, worker) => sum + worker.ran, 0);
    if (ran >= tasks) left = await peer.unfinished(client);
  }
  const seconds = elapsed();
  if (left > 0) left = await peer.unfinished(client);

  const seen = new Uint8Array(tasks);
  for (const worker of workers) {
    for (const [id, times] of (await report(worker)).entries()) seen[id] += times;
    worker.child.kill("SIGKILL");
  }
  await client.end();
  const once = seen.reduce((sum, times) => sum + (times === 1), 0);
  const repeated = seen.reduce((sum, times) => sum + (times > 1), 0);
  console.log(JSON.stringify({ tasks, completed: tasks - left, once, repeated, seconds }));
}

async function startWorker() {
  const child = fork(process.argv[1], process.argv.slice(2), {
    env: { ...process.env, BENCH_ROLE: "worker" },
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const worker = { child, ran: 0, report: null };
  child.once("exit", (code) => code !== null && fail(new Error(`a worker ended with ${code}`)));
  await new Promise((ready) => {
    child.on("message", (message) => {
      if (message === "ready") ready();
      else if (message.seen) worker.report(message.seen);
      else worker.ran = message.ran;
    });
  });
  return worker;
}

function report(worker) {
  return new Promise((resolve) => {
    worker.report = resolve;
    worker.child.send("report");
  });
}

function fail(error) {
  console.error(error.message);
  process.exit(1);
}

function serve() {
  const seen = new Uint8Array(tasks);
  let ran = 0;
  let told = 0;
  process.on("disconnect", () => process.exit(1));
  process.on("message", async (message) => {
    if (message === "report") process.send({ seen });
    else {
      setInterval(() => ran !== told && process.send({ ran: (told = ran) }), POLL_MS);
      await peer.work(url, variant, (id) => {
        seen[id] += 1;
        ran += 1;
      });
    }
  });
  process.send("ready");
}

if (process.env.BENCH_ROLE === "worker") serve();
else measure().then(() => process.exit(0), fail);
