-- A task's end is an update in place.
--
-- With a fifth of each page free, a batch of neighbouring tasks that end together found no room on their pages: two of
-- three wrote a new row elsewhere and an entry in each index. With half of it free, all of them fit.
alter table queue.task set (fillfactor = 45);

comment on column queue.task.state is 'blocked → succeeded or failed, by way of delayed, queued and waiting; cancelled when its step is barred. A task that was planned with its run stays blocked when its step opens: it is then in ready, or behind its limit.';
