-- For this transaction alone: sorts of a million rows stay in memory.
select set_config('work_mem', '64MB', true)
