select asset, journal_id from monetization.dividend_journal where day = $1 order by asset
