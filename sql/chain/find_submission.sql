select id, sender, nonce, state, transaction_hash, block_number, block_hash
from chain.submission
where chain_id = $1 and contract = $2 and day = $3 and action = $4 and state not in ('reverted', 'replaced')
