//! Typed ids: a raw `Uuid` or `i64` stops at the database row.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($raw);

        impl $name {
            /// The id that a stored value stands for.
            pub const fn from_raw(raw: $raw) -> Self {
                Self(raw)
            }

            /// The value to store.
            pub const fn raw(self) -> $raw {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = <$raw as FromStr>::Err;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

typed_id!(
    /// One execution of a pipeline; version 7, so that ids sort by creation time.
    RunId(Uuid)
);
typed_id!(
    /// One unit of work of a run.
    TaskId(i64)
);
typed_id!(
    /// One attempt at a task: a random 64-bit fencing token, never reused and never guessed.
    AttemptId(i64)
);
typed_id!(
    /// One worker process.
    WorkerId(Uuid)
);
typed_id!(
    /// One registered VPU generator: a participant, a validator or both.
    GeneratorId(Uuid)
);

impl RunId {
    /// A new id, later than every id made before it on this machine.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl WorkerId {
    /// A new id for a worker process that starts now.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl GeneratorId {
    /// The id of the generator called `name` in the network `network`: the same names give the same id.
    pub fn derive(network: &str, name: &str) -> Self {
        let space = Uuid::new_v5(&Uuid::NAMESPACE_URL, network.as_bytes());
        Self(Uuid::new_v5(&space, name.as_bytes()))
    }
}
