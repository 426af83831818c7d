update monetization.purchase set state = 'paid', payment = $2, paid_at = $3, payment_journal = $4 where key = $1
