select key, round, buyer, units, price_cents, state, reserved_at, expires_at, payment, paid_at, payment_journal,
    ended_at, refund_journal,
    array(select number from monetization.licence where purchase_key = key and revoked_at is null order by number)
        as "licences!"
from monetization.purchase
where buyer = $1
order by reserved_at, key
