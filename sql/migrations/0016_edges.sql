-- Edges: the trace that a run belongs to, and counts of runs that can be read without reading history.

-- Traces ---------------------------------------------------------------------------------------------

alter table queue.run
    add column trace_parent text,
    add constraint run_trace_parent_shape check (trace_parent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$');
comment on column queue.run.trace_parent is
    'Set once: the W3C traceparent of the span that started the run; its tasks are spans below that one.';

-- Counts of runs -------------------------------------------------------------------------------------

create table queue.run_tally (
    state queue.run_state not null,
    runs  bigint not null
);
alter table queue.run_tally set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
comment on table queue.run_tally is
    'How many runs there are in each state that is not an end, and how many ended in each that is: the sums of the rows. Rows are added where a run changes its state, which so never waits for another, and folded by a scheduler.';
comment on column queue.run_tally.state is 'Set once.';
comment on column queue.run_tally.runs is 'Set once: how many more; negative where runs left a state that is not an end.';

-- Ends are events: one that is retried ends again, and one that is removed later has ended all the same.
insert into queue.run_tally (state, runs) select r.state, count(*) from queue.run r group by r.state;

create function queue.tally_run() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' and old.state::text in ('queued', 'running') then
        insert into queue.run_tally (state, runs) values (old.state, -1);
    end if;
    if tg_op <> 'DELETE' then
        insert into queue.run_tally (state, runs) values (new.state, 1);
    end if;
    return null;
end $$;
comment on function queue.tally_run is 'Counts a run that comes, changes its state or goes.';

create trigger run_tally_insert after insert on queue.run
    for each row execute function queue.tally_run();
create trigger run_tally_state after update of state on queue.run
    for each row when (old.state is distinct from new.state) execute function queue.tally_run();
create trigger run_tally_delete after delete on queue.run
    for each row when (old.state::text in ('queued', 'running')) execute function queue.tally_run();
