update chain.submission set state = 'sent', sent_at = now() where id = $1 and state = 'recorded'
