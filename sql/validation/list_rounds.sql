-- The latest decisions first, each with its verdicts counted and, once it is published, its effect.
select
    round.lineage,
    round.round,
    round.recorded_at,
    count(*) filter (where verdict.outcome = 'accepted') as "accepted!",
    count(*) filter (where verdict.outcome = 'rejected') as "rejected!",
    count(*) filter (where verdict.outcome = 'deferred') as "deferred!",
    outcome.loss_drop as "loss_drop?"
from validation.round
left join validation.verdict using (lineage, round)
left join validation.outcome using (lineage, round)
where $1::text is null or round.lineage = $1
group by round.lineage, round.round, round.recorded_at, outcome.loss_drop
order by round.recorded_at desc, round.lineage desc, round.round desc
limit $2
