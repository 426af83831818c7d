//! The sealed inputs of an epoch of dividends.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tale_primitives::{Address, Digest, UtcDay};

use crate::{MonetizationError, RevenueEvent, WorkId};

/// Units as decimal text in canonical JSON, since programs read larger numbers into floats.
pub(crate) mod units_as_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(units: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(units)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// How much of a work somebody held on its record date.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordHolding {
    /// The day at whose end it was held.
    pub record_day: UtcDay,
    /// The work.
    pub work: WorkId,
    /// Who held it.
    pub holder: Address,
    /// How many of the work's units; a share in what it earned is these by all.
    #[serde(with = "units_as_text")]
    pub units: u128,
}

/// Everything that the dividends of an epoch follow from, in canonical order: events by id, holdings by record date,
/// work and holder. In which files and rows they stood decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRevenue {
    epoch: UtcDay,
    ruleset: u32,
    events: Vec<RevenueEvent>,
    holdings: Vec<RecordHolding>,
}

impl SealedRevenue {
    /// Inputs in canonical order. An event that stands twice counts once; the same id with other content, and an
    /// event after the epoch, are errors.
    pub fn new(
        epoch: UtcDay,
        ruleset: u32,
        mut events: Vec<RevenueEvent>,
        mut holdings: Vec<RecordHolding>,
    ) -> Result<Self, MonetizationError> {
        events.sort_by(|a, b| a.id.cmp(&b.id));
        events.dedup();
        if let Some(pair) = events.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(MonetizationError::EventDiffers { id: pair[0].id.clone() });
        }
        if let Some(later) = events.iter().find(|event| event.origin() > epoch) {
            return Err(MonetizationError::EventAfterEpoch { id: later.id.clone(), epoch });
        }
        holdings.sort_unstable();
        let place = |holding: &RecordHolding| (holding.record_day, holding.work.clone(), holding.holder);
        match holdings.windows(2).find(|pair| place(&pair[0]) == place(&pair[1])) {
            Some(pair) => Err(MonetizationError::HolderTwice {
                work: pair[0].work.clone(),
                holder: pair[0].holder,
                day: pair[0].record_day,
            }),
            None => Ok(Self { epoch, ruleset, events, holdings }),
        }
    }

    /// The day.
    pub const fn epoch(&self) -> UtcDay {
        self.epoch
    }

    /// The version of the rules that divide it.
    pub const fn ruleset(&self) -> u32 {
        self.ruleset
    }

    /// The events, by id.
    pub fn events(&self) -> &[RevenueEvent] {
        &self.events
    }

    /// Who held the works of these events, by record date, work and holder.
    pub fn holdings(&self) -> &[RecordHolding] {
        &self.holdings
    }

    /// The SHA-256 of epoch, ruleset, events and holdings as canonical JSON.
    pub fn digest(&self) -> Result<Digest, MonetizationError> {
        #[derive(Serialize)]
        struct Canonical<'a> {
            epoch: UtcDay,
            ruleset: u32,
            events: &'a [RevenueEvent],
            holdings: &'a [RecordHolding],
        }
        let Self { epoch, ruleset, events, holdings } = self;
        digest_of_json(&Canonical { epoch: *epoch, ruleset: *ruleset, events, holdings })
    }
}

/// The SHA-256 of a value's canonical JSON, which is never held as a whole.
pub(crate) fn digest_of_json(value: &impl Serialize) -> Result<Digest, MonetizationError> {
    struct Hash(Sha256);
    impl io::Write for Hash {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hash = io::BufWriter::new(Hash(Sha256::new()));
    serde_json::to_writer(&mut hash, value).map_err(MonetizationError::Canonical)?;
    let hash = hash
        .into_inner()
        .map_err(|error| MonetizationError::Canonical(serde_json::Error::io(error.into_error())))?;
    Ok(Digest::from_bytes(hash.0.finalize().into()))
}
