-- Ordered by the bytes of account and token, so that the tree's dump is the same on every machine.
select reward.owner, epoch.token as "token!", sum(reward.amount)::text as "cumulative!"
from treasury.reward
join treasury.epoch on epoch.day = reward.day
where reward.day <= $1 and epoch.state in ('posted', 'published', 'final') and reward.amount > 0
group by reward.owner, epoch.token
order by reward.owner, epoch.token
