//! Runs, steps, tasks, leases, retries; its tables are its own.
