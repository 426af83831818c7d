update chain.submission set state = 'replaced' where id = $1 and state in ('recorded', 'sent')
