delete from schedule.schedule where pipeline = $1
