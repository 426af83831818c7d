select
    transaction_hash,
    max_fee::text as "max_fee!",
    priority_fee::text as "priority_fee!",
    signed,
    floor(1000 * extract(epoch from clock_timestamp() - recorded_at))::bigint as "age_milliseconds!"
from chain.attempt
where submission_id = $1
order by max_fee desc, transaction_hash
