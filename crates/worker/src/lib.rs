//! The apalis runtime: claim, heartbeat, run, drain.
