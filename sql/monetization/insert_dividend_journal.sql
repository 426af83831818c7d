insert into monetization.dividend_journal (day, asset, journal_id) values ($1, $2, $3)
