select queue.keep_run_news($1) as "is_new!"
