delete from schedule.trigger where pipeline = $1
