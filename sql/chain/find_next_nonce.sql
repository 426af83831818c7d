select max(nonce) + 1 as nonce from chain.submission where chain_id = $1 and sender = $2 and state <> 'replaced'
