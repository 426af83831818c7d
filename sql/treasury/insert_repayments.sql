insert into treasury.repayment (day, correction, amount)
select $1, correction, amount::numeric from unnest($2::text[], $3::text[]) as given (correction, amount)
