update monetization.sale_round set rolled_in = rolled_in + $2 where round = $1
