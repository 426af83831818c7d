update monetization.purchase set state = 'cancelled', ended_at = $2 where key = $1
