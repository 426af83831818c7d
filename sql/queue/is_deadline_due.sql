select exists (select 1 from queue.deadline d where d.due_at <= clock_timestamp()) as "due!"
