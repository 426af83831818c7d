-- Not the start of the transaction, which may have waited for a round since.
select clock_timestamp() as "now!"
