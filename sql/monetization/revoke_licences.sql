update monetization.licence set revoked_at = $2 where purchase_key = $1
