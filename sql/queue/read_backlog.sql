-- What is left to do, and when the last run ended by the database's clock.
select
    (select count(*) from queue.run r where r.finished_at is null) as "runs_open!",
    (select coalesce(sum(s.tasks_open), 0) from queue.step s where s.state in ('running', 'expanding'))::bigint
        - (select coalesce(sum(t.ended), 0) from queue.tally t)::bigint as "tasks_open!",
    (select count(*) from queue.step s where s.state = 'expanding') as "steps_expanding!",
    (select max(r.finished_at) from queue.run r) as "last_run_ended_at",
    clock_timestamp() as "now!"
