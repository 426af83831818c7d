import { run, runMigrations } from "graphile-worker";
import { Logger } from "@graphile/logger";
import pg from "pg";

const silent = new Logger(() => () => {});
// What https://worker.graphile.org/docs/performance was measured with, and the same without batching.
const CONCURRENCY = { concurrentJobs: 24, maxPoolSize: 25 };
const VARIANTS = {
  batched: { ...CONCURRENCY, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
  default: CONCURRENCY,
};

export async function prepare(connectionString, tasks) {
  await runMigrations({ preset: { worker: { connectionString, logger: silent } } });
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(
    `select count(*) from graphile_worker.add_jobs(array(
       select json_populate_record(null::graphile_worker.job_spec, json_build_object(
         'identifier', 'noop', 'payload', json_build_object('id', id)))
       from generate_series(0, $1::int - 1) as id))`,
    [tasks],
  );
  await client.end();
}

export async function unfinished(client) {
  const { rows } = await client.query("select count(*)::int as left from graphile_worker._private_jobs");
  return rows[0].left;
}

export async function work(connectionString, variant, ran) {
  await run({
    preset: { worker: { connectionString, logger: silent, ...VARIANTS[variant] } },
    taskList: { noop: async (payload) => ran(payload.id) },
  });
}
