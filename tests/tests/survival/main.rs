//! What the product survives: its processes killed and frozen, its database too, a full disk, cut connections, wrong clocks.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod clock;
mod disk;
mod kills;
mod poison;
mod weather;
mod wire;
