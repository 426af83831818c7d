select repayment.correction, sealed.owner, sealed.origin_day, repayment.amount::text as "amount!"
from treasury.repayment
join treasury.sealed_receivable sealed using (day, correction)
where repayment.day = $1
order by sealed.owner, sealed.origin_day, repayment.correction collate "C"
