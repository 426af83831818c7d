"""Everyone who can be measured, a directory each."""

from . import airflow, apalis_postgres, dagster, graphile_worker, pg_boss, pgqueuer, prefect, procrastinate, raw_sql
from . import taleworks

OURS = [*taleworks.CONTESTANTS]
# Not a peer but the limit: it costs nothing to install, and runs always.
LIMIT = [raw_sql.RawSql()]
PEERS = [
    *graphile_worker.CONTESTANTS,
    pg_boss.PgBoss(),
    pgqueuer.PgQueuer(),
    procrastinate.Procrastinate(),
    apalis_postgres.ApalisPostgres(),
    prefect.Prefect(),
    *dagster.CONTESTANTS,
    airflow.Airflow(),
]
