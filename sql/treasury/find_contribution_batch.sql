select content_digest, settled_day from treasury.contribution_batch where source = $1
