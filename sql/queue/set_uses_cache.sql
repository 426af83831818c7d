-- a sub-run goes without where the run that waits for it does
update queue.run r set uses_cache = false
where r.id = $1
  and (not $2 or exists (
      select 1 from queue.task t join queue.run p on p.id = t.run_id
      where t.id = r.parent_task and not p.uses_cache))
