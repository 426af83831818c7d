select receivable.owner, receivable.origin_day, receivable.correction,
    (receivable.amount - coalesce(sum(repayment.amount), 0))::text as "outstanding!"
from treasury.receivable
left join treasury.repayment on repayment.correction = receivable.correction
where receivable.origin_day < $1
group by receivable.correction
having receivable.amount > coalesce(sum(repayment.amount), 0)
