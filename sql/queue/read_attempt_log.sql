-- One look at an attempt: the object with its whole log or, where there is none yet, up to $4 lines after $3.
select a.digest as "digest?", a.size_bytes as "size_bytes?",
       l.seq as "seq?", l.logged_at as "logged_at?", l.line as "line?"
from (values (1)) one (n)
left join queue.attempt_log a on a.attempt_id = $2
left join lateral (
    select h.seq, h.logged_at, h.line from queue.log h
    where h.run_id = $1 and h.attempt_id = $2 and h.seq > $3
    order by h.seq limit $4
) l on a.attempt_id is null
order by l.seq
