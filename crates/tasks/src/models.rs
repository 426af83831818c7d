//! Models, updates and images: from the store into memory and back.

use std::collections::BTreeSet;

use bytes::Bytes;
use rand::Rng;
use tale_learning::{ModelSpec, Parameters};
use tale_primitives::{Name, Seed};
use tale_storage::{
    DatasetManifest, ImageBatch, ObjectRef, RowSelection, SplitRef, Store, find_dataset, read_rows,
};
use tale_worker::{TaskContext, TaskError};

use crate::refusal;

/// The media type of models and updates.
pub(crate) const SAFETENSORS: &str = "application/x-safetensors";

/// The manifest of the data set of this name.
pub(crate) async fn dataset(context: &TaskContext, name: &str) -> Result<DatasetManifest, TaskError> {
    let name: Name = name.parse().map_err(TaskError::fail)?;
    let mut connection = context.database.acquire().await.map_err(TaskError::retry)?;
    find_dataset(&context.store, &mut connection, &name).await.map_err(refusal::storage)
}

/// The parameters that an object holds.
pub(crate) async fn load(
    store: &Store,
    spec: &ModelSpec,
    object: &ObjectRef,
) -> Result<Parameters, TaskError> {
    let bytes = store.get(object).await.map_err(refusal::storage)?;
    Parameters::from_safetensors(spec, &bytes).map_err(refusal::learning)
}

/// Puts parameters into the store.
pub(crate) async fn save(
    store: &Store,
    spec: &ModelSpec,
    parameters: &Parameters,
) -> Result<ObjectRef, TaskError> {
    let bytes = parameters.to_safetensors(spec).map_err(refusal::learning)?;
    store.put(Bytes::from(bytes)).await.map_err(refusal::storage)
}

/// Every row of a split.
pub(crate) async fn all_rows(store: &Store, split: &SplitRef) -> Result<ImageBatch, TaskError> {
    read_rows(store, split, RowSelection::All).await.map_err(refusal::storage)
}

/// The rows of a split with these indexes, which ascend.
pub(crate) async fn some_rows(
    store: &Store,
    split: &SplitRef,
    rows: Vec<u32>,
) -> Result<ImageBatch, TaskError> {
    read_rows(store, split, RowSelection::Indices(rows)).await.map_err(refusal::storage)
}

/// Part `part` of `parts` of a shuffled deck of `rows` rows, at most `size` of them, ascending: the parts of one seed
/// do not overlap while there are rows enough, and no part is empty.
pub(crate) fn draw_rows(seed: &Seed, rows: u64, part: usize, parts: usize, size: usize) -> Vec<u32> {
    let total = usize::try_from(rows).unwrap_or(usize::MAX).min(u32::MAX as usize);
    let size = size.min((total / parts.max(1)).max(1)).min(total);
    let first = (part * size) % total.max(1);
    let mut drawn = BTreeSet::new();
    let mut deck = Deck::new(seed, total);
    for place in 0..first + size {
        let card = deck.deal();
        if place >= first {
            drawn.insert(card);
        }
    }
    drawn.into_iter().collect()
}

/// A lazily shuffled deck (Fisher–Yates from the front), so that a few rows of a huge split cost a few draws.
struct Deck {
    rng: rand_chacha::ChaCha8Rng,
    swapped: std::collections::HashMap<usize, usize>,
    dealt: usize,
    total: usize,
}

impl Deck {
    fn new(seed: &Seed, total: usize) -> Self {
        Self { rng: seed.rng(), swapped: std::collections::HashMap::new(), dealt: 0, total }
    }

    fn deal(&mut self) -> u32 {
        let left = (self.total - self.dealt).max(1) as u64;
        let chosen = self.dealt + (self.rng.next_u64() % left) as usize;
        let card = self.swapped.get(&chosen).copied().unwrap_or(chosen);
        let replacement = self.swapped.get(&self.dealt).copied().unwrap_or(self.dealt);
        self.swapped.insert(chosen, replacement);
        self.dealt += 1;
        card as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_deck_are_ascending_disjoint_and_never_empty() {
        for (rows, parts, size) in
            [(1500, 3, 500), (1501, 3, 500), (90, 3, 500), (7, 3, 2), (2, 3, 500), (1, 1, 1)]
        {
            let seed = Seed::new(rows);
            let drawn: Vec<Vec<u32>> =
                (0..parts).map(|part| draw_rows(&seed, rows, part, parts, size)).collect();
            for part in &drawn {
                assert!(!part.is_empty() && part.len() <= size);
                assert!(part.windows(2).all(|pair| pair[0] < pair[1]));
                assert!(part.iter().all(|row| u64::from(*row) < rows));
            }
            let total: usize = drawn.iter().map(Vec::len).sum();
            if total as u64 <= rows {
                assert_eq!(drawn.iter().flatten().collect::<BTreeSet<_>>().len(), total, "{rows} rows");
            }
        }
    }
}
