select route from treasury.payout_route where token = $1
