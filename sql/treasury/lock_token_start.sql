-- Whoever vests holds the row, so that two nights at once post one after the other.
select day from treasury.token_start for update
