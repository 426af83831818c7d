//! Run advancement: expands steps, starts sub-runs, reaps lost leases.
