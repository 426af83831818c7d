//! Faults that are put into the queue's functions, to see that the auditor finds them.

use sqlx::{AssertSqlSafe, PgConnection};

/// A fault: what is wrong, the function that it is in, the text there and what replaces it.
pub struct Mutation {
    pub name: &'static str,
    function: &'static str,
    changes: &'static [(&'static str, &'static str)],
}

const fn mutation(
    name: &'static str,
    function: &'static str,
    changes: &'static [(&'static str, &'static str)],
) -> Mutation {
    Mutation { name, function, changes }
}

pub const MUTATIONS: [Mutation; 17] = [
    mutation(
        "acknowledgements are not fenced",
        "held_leases",
        &[("k.task_id = u.task_id and k.attempt_id = u.attempt_id", "k.task_id = u.task_id")],
    ),
    mutation("handing back is not fenced", "release_leases", &[("and l.attempt_id = u.attempt_id", "")]),
    mutation(
        "a claim leaves its tasks among the ready",
        "take",
        &[("delete from queue.ready r", "update queue.ready r set seq = r.seq")],
    ),
    mutation("a claim forgets the pool's limit", "take", &[("v_pool.leases_max is not null", "false")]),
    mutation("a paused pool gives tasks", "take", &[("if v_pool.is_paused then", "if false then")]),
    mutation(
        "an ended task keeps its place",
        "leave_places",
        &[
            ("delete from queue.admitted a where", "select * from queue.admitted a where false and"),
            ("returning a.key", ""),
        ],
    ),
    mutation(
        "a gate lets one too many in",
        "pass_gates",
        &[("v_gate.capacity - count(*)", "v_gate.capacity + 1 - count(*)")],
    ),
    mutation(
        "a gate spends no tokens",
        "pass_gates",
        &[("tokens = v_tokens - cardinality(v_tasks)", "tokens = v_tokens")],
    ),
    mutation(
        "a step counts a task twice",
        "count_off",
        &[("s.tasks_open - f.ended", "greatest(s.tasks_open - f.ended - 1, 0)")],
    ),
    mutation("failures are not counted", "count_off", &[("s.tasks_failed + j.failed", "s.tasks_failed")]),
    mutation(
        "a failed step bars nothing",
        "settle_steps",
        &[("when 'all_success' then r.good < r.ends", "when 'all_success' then false")],
    ),
    mutation("a lost worker is no crash", "reap", &[("crashes = c.crashes,", "crashes = t.crashes,")]),
    mutation(
        "a stopped run keeps its leases",
        "sweep_cancelled",
        &[(
            "delete from queue.lease l where l.task_id = any (v_tasks) returning l.*",
            "select l.* from queue.lease l where false",
        )],
    ),
    mutation(
        "a paused run goes on",
        "park_paused",
        &[("where r.is_paused for update", "where false for update")],
    ),
    mutation("a heartbeat takes nothing back", "beat", &[("if v_tasks is not null then", "if false then")]),
    mutation("a retry is lost", "promote_due", &[("perform queue.admit(v_tasks);", "")]),
    mutation(
        "a run that ends keeps its place",
        "give_place",
        &[(
            "delete from queue.place l where l.run_id = any (p_runs) returning l.pipeline",
            "select l.pipeline from queue.place l where false",
        )],
    ),
];

impl Mutation {
    /// Puts the fault into this database.
    pub async fn apply(&self, connection: &mut PgConnection) {
        let mut definition: String = sqlx::query_scalar(
            "select pg_get_functiondef(p.oid) from pg_proc p
             where p.pronamespace = 'queue'::regnamespace and p.proname = $1",
        )
        .bind(self.function)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        for (right, wrong) in self.changes {
            assert!(
                definition.contains(right),
                "{}: queue.{} has no {right:?} any more",
                self.name,
                self.function
            );
            definition = definition.replace(right, wrong);
        }
        sqlx::raw_sql(AssertSqlSafe(definition)).execute(connection).await.unwrap();
    }
}
