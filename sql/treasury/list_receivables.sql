select receivable.correction, owner, origin_day, receivable.amount::text as "amount!",
    coalesce(sum(repayment.amount), 0)::text as "repaid!", reason, actor, journal_id, recorded_at
from treasury.receivable
left join treasury.repayment on repayment.correction = receivable.correction
where $1::bytea is null or owner = $1
group by receivable.correction
order by owner, origin_day, receivable.correction collate "C"
