select day from treasury.token_start
