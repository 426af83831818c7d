select id, owner from network.generator where id = any($1::uuid[])
