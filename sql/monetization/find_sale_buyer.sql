select reserved, sold from monetization.sale_buyer where round = $1 and buyer = $2
