update monetization.sale_round set closed_at = $2, rolled_out = $3 where round = $1
