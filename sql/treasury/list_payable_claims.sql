-- Ordered by the bytes of the account, so that the tree's dump is the same on every machine.
select account, coalesce(sum(net) filter (where ended_day <= $1), 0)::text as "cumulative!",
    coalesce(sum(net) filter (where ended_day > $1), 0)::text as "later!"
from treasury.withdrawal
where state = 'paid' and destination = 'chain'
group by account
order by account
