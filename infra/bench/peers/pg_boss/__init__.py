"""pg-boss, from npm."""

from drain import NodeDrain


class PgBoss(NodeDrain):
    name = "pg-boss"
    about = "four local workers in one process, batches of 500, fetched without a pause while they are full"
    directory = "pg_boss"
    packages = ("pg-boss", "pg")
