select contribution.generator, sum(contribution.points)::bigint as "points!"
from validation.contribution
join validation.outcome using (lineage, round)
where outcome.epoch = $1
group by contribution.generator
order by contribution.generator
