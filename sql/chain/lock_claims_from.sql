select
    block_hash, transaction_hash, log_index, account, token, amount::text as "amount!", times_orphaned, journal_id
from chain.claim
where chain_id = $1 and contract = $2 and block_number >= $3 and not is_orphaned
order by block_number, log_index
for update
