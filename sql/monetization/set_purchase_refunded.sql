update monetization.purchase set state = 'refunded', ended_at = $2, refund_journal = $3 where key = $1
