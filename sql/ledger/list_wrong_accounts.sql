-- Every account whose running sums are not what its entries, its open holds and its last limits say, or break a law.
with moved as (
    select account_id,
        coalesce(sum(amount) filter (where side = 'debit'), 0) as debits,
        coalesce(sum(amount) filter (where side = 'credit'), 0) as credits
    from ledger.entry
    group by account_id
), pending as (
    select account_id, sum(debit) as debits, sum(credit) as credits
    from ledger.hold
    cross join lateral (values (debit_account_id, amount, 0), (credit_account_id, 0, amount))
        as side (account_id, debit, credit)
    where ended_by is null
    group by account_id
), limits as (
    select distinct on (account_id) account_id, floor, ceiling
    from ledger.account_limit
    order by account_id, journal_id desc
), derived as (
    select account.id, account.key, account.normal_side, asset.code is not null as has_asset,
        coalesce(moved.debits, 0) as debits, coalesce(moved.credits, 0) as credits,
        coalesce(pending.debits, 0) as pending_debits, coalesce(pending.credits, 0) as pending_credits,
        limits.floor, limits.ceiling
    from ledger.account
    left join ledger.asset on asset.code = account.asset
    left join moved on moved.account_id = account.id
    left join pending on pending.account_id = account.id
    left join limits on limits.account_id = account.id
)
select derived.key as "key!", derived.has_asset as "has_asset!",
    coalesce(balance.debits::text, 'none') as "debits!", coalesce(balance.credits::text, 'none') as "credits!",
    derived.debits::text as "derived_debits!", derived.credits::text as "derived_credits!",
    coalesce(balance.pending_debits::text, 'none') as "pending_debits!",
    coalesce(balance.pending_credits::text, 'none') as "pending_credits!",
    derived.pending_debits::text as "derived_pending_debits!",
    derived.pending_credits::text as "derived_pending_credits!",
    (balance.floor, balance.ceiling) is distinct from (derived.floor, derived.ceiling) as "has_other_limits!",
    law.is_broken as "breaks_law!"
from derived
left join ledger.balance on balance.account_id = derived.id
cross join lateral (
    select case derived.normal_side
        when 'debit' then debits < credits + pending_credits + coalesce(floor, 0)
            or debits + pending_debits > credits + ceiling
        else credits < debits + pending_debits + coalesce(floor, 0)
            or credits + pending_credits > debits + ceiling
    end is true as is_broken
    from (
        select derived.debits, derived.credits, derived.pending_debits, derived.pending_credits,
            derived.floor, derived.ceiling
    ) sums
) law
where not derived.has_asset or law.is_broken
    or (balance.debits, balance.credits, balance.pending_debits, balance.pending_credits, balance.floor, balance.ceiling)
        is distinct from
        (derived.debits, derived.credits, derived.pending_debits, derived.pending_credits, derived.floor, derived.ceiling)
order by derived.key collate "C"
