-- In how many seconds the next schedule is due; whether there are back-fills to go on with, ended runs to follow, and
-- triggers that wait for runs.
select (select extract(epoch from min(s.next_fire) - clock_timestamp())::double precision
        from schedule.schedule s where s.paused_at is null and s.pipeline <> all ($1)) as seconds,
       exists (select from schedule.backfill b where b.finished_at is null) as "backfilling!",
       exists (select from schedule.ended_run) as "ended!",
       exists (select from schedule.trigger t where t.watches is not null) as "watching!"
