select source from treasury.contribution_batch where settled_day = $1 order by source collate "C"
