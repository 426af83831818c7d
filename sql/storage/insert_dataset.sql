-- $1 name, $2 digest and $3 size of the manifest, $4 height, $5 width, $6 channels, $7 classes, $8 rows;
-- a name that is taken stays as it is: the caller compares
insert into storage.dataset (name, manifest_digest, manifest_size, height, width, channels, classes, rows)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict on constraint dataset_pkey do nothing
