delete from queue.run_news n where n.id = $1
