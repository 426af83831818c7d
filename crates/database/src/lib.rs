//! Pool, migrations, the embedded PostgreSQL cluster, per-test databases.
