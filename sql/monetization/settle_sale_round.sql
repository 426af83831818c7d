update monetization.sale_round set settled_at = $2 where round = $1
