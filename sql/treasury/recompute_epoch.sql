-- The second, independent computation of an epoch: from the sealed inputs and the text of the ruleset to the canonical
-- head of the result, in NUMERIC and by ranks and running sums, where the program sorts and fills.
-- $1 is the day, $2 the ruleset's bytes. See the README, "Two computations".
with rules as materialized (
    select rules, sha256(convert_to($2::text, 'UTF8')) as digest,
        div(
            div((rules #>> '{generator_pool,supply}')::numeric
                * ((rules #>> '{generator_pool,share_ppm}')::numeric
                    - (rules #>> '{generator_pool,unlocked_at_start_ppm}')::numeric), 1000000),
            (rules #>> '{generator_pool,months}')::numeric * (rules #>> '{generator_pool,days_per_month}')::numeric
        ) as pool
    from (select $2::text::jsonb as rules) as given
),
quotas as materialized (
    select name as class, div(pool * (terms ->> 'share_ppm')::numeric, 1000000) as base,
        mod(pool * (terms ->> 'share_ppm')::numeric, 1000000) as remainder, pool, (terms ->> 'cap_ppm')::numeric as cap_ppm
    from rules, jsonb_each(rules -> 'classes') as classes (name, terms)
),
class_pools as materialized (
    select class, class_pool, div(class_pool * cap_ppm, 1000000) as cap
    from (
        select class, cap_ppm, base + case
            when row_number() over (order by remainder desc, class collate "C") <= pool - sum(base) over () then 1
            else 0 end as class_pool
        from quotas
    ) as parts
),
points as materialized (
    select owner, class, sum(points) as points
    from treasury.sealed_input where day = $1
    group by owner, class
),
-- With those at least as heavy before it, would this owner's quota of what they leave still be above the cap?
ranked as materialized (
    select class, owner, weight, class_pool, cap,
        (class_pool - (rank - 1) * cap) * weight > cap * weight_from_here as is_capped
    from (
        select class, owner, points as weight, class_pool, cap,
            row_number() over heaviest as rank,
            sum(points) over (heaviest rows between current row and unbounded following) as weight_from_here
        from points join class_pools using (class)
        where points > 0
        window heaviest as (partition by class order by points desc, owner)
    ) as running
),
classes as materialized (
    select class, class_pool, cap, coalesce(weight, 0) as weight, coalesce(capped, 0) as capped,
        coalesce(weight_left, 0) as weight_left, class_pool - coalesce(capped, 0) * cap as pool_left,
        case when coalesce(weight_left, 0) = 0 then class_pool - coalesce(capped, 0) * cap else 0 end as carried
    from class_pools
    left join (
        select class, sum(weight) as weight, count(*) filter (where is_capped) as capped,
            sum(weight) filter (where not is_capped) as weight_left
        from ranked group by class
    ) as sums using (class)
),
shares as materialized (
    select class, owner, cap as amount from ranked where is_capped
    union all
    select class, owner, base + case
            when row_number() over (partition by class order by remainder desc, owner)
                <= pool_left - sum(base) over (partition by class) then 1
            else 0 end
    from (
        select class, owner, pool_left, div(pool_left * ranked.weight, weight_left) as base,
            mod(pool_left * ranked.weight, weight_left) as remainder
        from ranked join classes using (class)
        where not is_capped
    ) as divided
),
earned as materialized (
    select owner,
        coalesce(sum(points) filter (where class = 'compute'), 0) as compute_points,
        coalesce(sum(amount) filter (where class = 'compute'), 0) as compute_amount,
        coalesce(sum(points) filter (where class = 'training'), 0) as training_points,
        coalesce(sum(amount) filter (where class = 'training'), 0) as training_amount,
        coalesce(sum(points) filter (where class = 'validation'), 0) as validation_points,
        coalesce(sum(amount) filter (where class = 'validation'), 0) as validation_amount,
        coalesce(sum(amount), 0) as gross
    from points left join shares using (owner, class)
    group by owner
),
repayments as materialized (
    select owner, origin_day, correction, least(outstanding, gross - owed_before) as amount
    from (
        select owner, origin_day, correction, outstanding, gross,
            sum(outstanding) over (partition by owner order by origin_day, correction collate "C") - outstanding
                as owed_before
        from treasury.sealed_receivable join earned using (owner)
        where day = $1
    ) as owed
    where gross > owed_before
),
rewards as materialized (
    select owner,
        concat_ws(',', '0x' || encode(owner, 'hex'), compute_points, compute_amount, training_points, training_amount,
            validation_points, validation_amount, gross, coalesce(repaid, 0), gross - coalesce(repaid, 0)) as line
    from earned
    left join (select owner, sum(amount) as repaid from repayments group by owner) as paid_back using (owner)
),
stored as (
    select owner,
        concat_ws(',', '0x' || encode(owner, 'hex'), compute_points, compute_amount, points, training_amount,
            validation_points, validation_amount, compute_amount + training_amount + validation_amount, repaid,
            amount) as line
    from treasury.reward where day = $1
),
first_difference as (
    select owner, stored.line as stored, rewards.line as derived
    from stored full join rewards using (owner)
    where stored.line is distinct from rewards.line
    order by owner
    limit 1
),
inputs as (
    select sha256(convert_to(format(
        '{"epoch":"%s","ruleset":%s,"contributions":"%s","receivables":"%s"}',
        to_char($1::date, 'YYYY-MM-DD'), rules ->> 'version',
        (
            select encode(sha256(coalesce(string_agg(
                sha256(convert_to(concat_ws(',', class, generator_id, to_char(origin_day, 'YYYY-MM-DD'),
                    '0x' || encode(owner, 'hex'), points), 'UTF8')),
                ''::bytea order by class collate "C", generator_id, origin_day), ''::bytea)), 'hex')
            from treasury.sealed_input where day = $1
        ),
        (
            select encode(sha256(coalesce(string_agg(
                sha256(convert_to(concat_ws(',', '0x' || encode(owner, 'hex'), to_char(origin_day, 'YYYY-MM-DD'),
                    correction, outstanding), 'UTF8')),
                ''::bytea order by owner, origin_day, correction collate "C"), ''::bytea)), 'hex')
            from treasury.sealed_receivable where day = $1
        )
    ), 'UTF8')) as digest
    from rules
),
head as (
    select format(
        '{"epoch":"%s","ruleset":%s,"ruleset_digest":"%s","inputs_digest":"%s","asset":"%s","token":"%s",'
            '"pool":"%s","classes":{%s},"paid":"%s","repaid":"%s","carried":"%s","accounts":%s,"rewards":"%s",'
            '"repayments":"%s"}',
        to_char($1::date, 'YYYY-MM-DD'), rules ->> 'version', encode(rules.digest, 'hex'),
        encode(inputs.digest, 'hex'), rules ->> 'asset', rules ->> 'token', pool,
        (
            select string_agg(format(
                '"%s":{"pool":"%s","cap":"%s","weight":"%s","capped":%s,"paid":"%s","carried":"%s"}',
                class, class_pool, cap, weight, capped, class_pool - carried, carried
            ), ',' order by class collate "C")
            from classes
        ),
        (select sum(class_pool - carried) from classes),
        (select coalesce(sum(amount), 0) from repayments),
        (select sum(carried) from classes),
        (select count(*) from rewards),
        (
            select encode(sha256(coalesce(
                string_agg(sha256(convert_to(line, 'UTF8')), ''::bytea order by owner), ''::bytea)), 'hex')
            from rewards
        ),
        (
            select encode(sha256(coalesce(string_agg(
                sha256(convert_to(concat_ws(',', '0x' || encode(owner, 'hex'), to_char(origin_day, 'YYYY-MM-DD'),
                    correction, amount), 'UTF8')),
                ''::bytea order by owner, origin_day, correction collate "C"), ''::bytea)), 'hex')
            from repayments
        )
    ) as text
    from rules, inputs
)
select head.text as "head!", sha256(convert_to(head.text, 'UTF8')) as "digest!",
    first_difference.owner as "owner?", first_difference.stored as "stored?", first_difference.derived as "derived?"
from head left join first_difference on true
