-- A place under a limit is written and deleted for every limited task: one index tells both whose it is and how many
-- there are under a key.

alter table queue.admitted drop constraint admitted_pkey;
drop index queue.admitted_key;
alter table queue.admitted add primary key (key, task_id);
