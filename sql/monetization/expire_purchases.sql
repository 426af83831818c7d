update monetization.purchase set state = 'expired', ended_at = $2
where round = $1 and state = 'reserved' and expires_at <= $2
