select tier, source from monetization.special_listing where wallet = $1 order by tier, source
