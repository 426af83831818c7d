insert into monetization.dividend_epoch (day, ruleset, inputs_digest, result_digest, event_count)
values ($1, $2, $3, $4, $5)
