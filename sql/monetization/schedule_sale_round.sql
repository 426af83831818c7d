update monetization.sale_round set opens_at = $2, closes_at = $3 where round = $1
