import { PgBoss } from "pg-boss";
import pg from "pg";

const QUEUE = "bench";
// https://pgboss.io/api/workers: batches, fetched without a pause while they come back full. The numbers were the quickest
// of batches of 200 to 2000 with 1 to 4 workers in 1 or 2 processes on two cores.
const OPTIONS = { batchSize: 500, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5, localConcurrency: 4 };
const INSERT_AT_ONCE = 5000;

export async function prepare(connectionString, tasks) {
  const boss = new PgBoss({ connectionString, supervise: false, schedule: false });
  await boss.start();
  await boss.createQueue(QUEUE);
  for (let first = 0; first < tasks; first += INSERT_AT_ONCE) {
    const length = Math.min(INSERT_AT_ONCE, tasks - first);
    await boss.insert(QUEUE, Array.from({ length }, (_, index) => ({ data: { id: first + index } })));
  }
  await boss.stop();
}

export async function unfinished(client) {
  const { rows } = await client.query(
    "select count(*)::int as left from pgboss.job where name = $1 and state <> 'completed'",
    [QUEUE],
  );
  return rows[0].left;
}

export async function work(connectionString, _variant, ran) {
  const boss = new PgBoss({ connectionString });
  await boss.start();
  await boss.work(QUEUE, OPTIONS, async (jobs) => {
    for (const job of jobs) ran(job.data.id);
  });
}
