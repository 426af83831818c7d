-- All positions of the day at once: each earns by its own rate, or by the flexible one ($2), over a year of $3 days. Where
-- the budget ($4) does not cover the day, all of them are cut alike. Divisions drop what is below one unit.
with earned as (
    select id, div(principal * coalesce(rate_ppm, $2), 1000000::numeric * $3) as amount
    from treasury.staking_position
    where state = 'open' and opened_day < $1
), total as (
    select coalesce(sum(amount), 0) as due, $4::text::numeric as budget from earned
), paid as (
    insert into treasury.staking_accrual (day, position_id, amount)
    select $1, given.id, given.amount
    from (
        select id, case when due <= budget then amount else div(amount * budget, due) end as amount
        from earned, total
    ) given
    where given.amount > 0
    returning amount
)
select (select due from total)::text as "due!", (select coalesce(sum(amount), 0) from paid)::text as "paid!"
