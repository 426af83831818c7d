update treasury.staking_position
set state = $2, ended_day = $3, rewards = $4::text::numeric, returned = $5::text::numeric,
    penalty = $6::text::numeric, forfeited = $7::text::numeric, journal_id = $8
where id = $1
