update chain.submission set state = 'final', final_at = now()
where id = $1 and state = 'mined' and block_hash = $2
