select day, ruleset, inputs_digest, result_digest, event_count, posted_at
from monetization.dividend_epoch
order by day
