select queue.resume_run($1) as "resumed!"
