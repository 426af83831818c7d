-- Which of these runs went on past their deadlines.
select a.run_id from queue.alert a where a.run_id = any ($1::uuid[])
