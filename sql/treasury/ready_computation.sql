-- For this transaction alone: sorts of a million rows stay in memory, and a statement that runs once is not compiled.
select set_config('work_mem', '64MB', true) as work_mem, set_config('jit', 'off', true) as jit
