-- The least that is still a queue: what is ready, what is leased to whom; a task is done when it is in neither.
create table ready (id bigint primary key);
create table lease (id bigint primary key, worker int not null);
-- As the fast queues tune tables through which rows only pass.
alter table ready set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
alter table lease set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
