-- States that the next migrations use: a value of an enum cannot be used in the transaction that adds it.

alter type queue.run_state add value 'queued' before 'running';
alter type queue.run_state add value 'cancelled';
alter type queue.step_state add value 'cancelled';
alter type queue.attempt_outcome add value 'cancelled';
