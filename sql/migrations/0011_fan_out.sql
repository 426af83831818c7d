-- Fan-outs that are inserted part by part.

alter table queue.step add column arguments jsonb;
comment on column queue.step.arguments is
    'Set when the first part of a fan-out is inserted whose tasks all have the same arguments, which then stand here and in no task; unset when the step is to be expanded anew.';
comment on column queue.step.tasks_total is
    'Set when the fan-out''s size is known; grows by every part of one that is inserted in parts.';
comment on column queue.step.tasks_open is 'Grows with tasks_total; falls by one whenever a task ends.';
comment on column queue.task.arguments is 'Set once: the evaluated arguments; nothing where they are the step''s.';
