//! One file per task kind, thin adapters over the domains.
