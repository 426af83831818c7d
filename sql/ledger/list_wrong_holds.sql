-- Holds whose end is not the journal that ends them, and ends that moved something else than what was held.
select coalesce(hold.id, ending.hold_id) as "id!", hold.ended_by, ending.id as "derived_end?",
    coalesce(opening.event = 'hold', false) as "has_opened!",
    coalesce(ending.event = 'post', false) and 2 <> (
        select count(distinct side) from ledger.entry
        where journal_id = ending.id and amount <= hold.amount
            and account_id = case side when 'debit' then hold.debit_account_id else hold.credit_account_id end
    ) as "has_moved_else!"
from ledger.hold
full join (select id, event, hold_id from ledger.journal where hold_id is not null) ending on ending.hold_id = hold.id
left join ledger.journal opening on opening.id = hold.id
where hold.ended_by is distinct from ending.id
    or opening.event is distinct from 'hold'
    or ending.event = 'post' and 2 <> (
        select count(distinct side) from ledger.entry
        where journal_id = ending.id and amount <= hold.amount
            and account_id = case side when 'debit' then hold.debit_account_id else hold.credit_account_id end
    )
order by 1
