//! Which row goes to which split: balanced within each class, decided by the seed alone.

use rand::seq::SliceRandom;
use tale_primitives::Seed;

/// The splits in their order, with the share of each in percent.
pub(crate) const SHARES: [usize; 3] = [70, 15, 15];

/// In which of three splits (train, held out, test) each row is.
///
/// Each class is divided 70/15/15, rounded up or down, so that the splits as wholes come near to their
/// shares too: the rows that remain of a class go to the splits that are furthest behind so far.
pub(crate) fn assign_splits(labels: &[u32], classes: u32, seed: Seed) -> Vec<u8> {
    let mut splits = vec![0; labels.len()];
    let (mut due, mut given) = ([0; 3], [0; 3]);
    for (class, mut rows) in rows_by_class(labels, classes).into_iter().enumerate() {
        rows.shuffle(&mut seed.child("split").child(&class.to_string()).rng());
        let mut sizes = SHARES.map(|share| rows.len() * share / 100);
        for split in 0..SHARES.len() {
            due[split] += rows.len() * SHARES[split];
            given[split] += sizes[split];
        }
        // Fewer rows remain than splits were rounded down.
        let mut rounded_down = [1, 2, 0];
        rounded_down.sort_by_key(|&split| {
            let exact = (rows.len() * SHARES[split]).is_multiple_of(100);
            (exact, std::cmp::Reverse(due[split] as i128 - 100 * given[split] as i128))
        });
        let remaining = rows.len() - sizes.iter().sum::<usize>();
        for &split in &rounded_down[..remaining] {
            sizes[split] += 1;
            given[split] += 1;
        }
        let ends = [sizes[0], sizes[0] + sizes[1]];
        for (place, row) in rows.into_iter().enumerate() {
            splits[row] = ends.iter().filter(|end| place >= **end).count() as u8;
        }
    }
    splits
}

/// The rows of each class, ascending.
pub(crate) fn rows_by_class(labels: &[u32], classes: u32) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); classes as usize];
    for (row, label) in labels.iter().enumerate() {
        rows[*label as usize].push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_class_and_the_whole_are_divided_by_the_shares(
            labels in prop::collection::vec(0u32..7, 1..600), number: u64,
        ) {
            let seed = Seed::new(number);
            let splits = assign_splits(&labels, 7, seed);
            prop_assert_eq!(&splits, &assign_splits(&labels, 7, seed));
            for class in 0..7 {
                let rows = labels.iter().filter(|label| **label == class).count() as f64;
                for (split, share) in SHARES.iter().enumerate() {
                    let mine = labels.iter().zip(&splits);
                    let mine = mine.filter(|(label, s)| **label == class && usize::from(**s) == split).count();
                    let exact = rows * *share as f64 / 100.0;
                    prop_assert!((mine as f64 - exact).abs() < 1.0, "class {} split {}", class, split);
                }
            }
            for (split, share) in SHARES.iter().enumerate() {
                let all = splits.iter().filter(|s| usize::from(**s) == split).count() as f64;
                prop_assert!((all - labels.len() as f64 * *share as f64 / 100.0).abs() < 2.0, "split {}", split);
            }
        }
    }

    #[test]
    fn another_seed_divides_otherwise() {
        let labels: Vec<u32> = (0..100).map(|row| row % 5).collect();
        assert_ne!(assign_splits(&labels, 5, Seed::new(1)), assign_splits(&labels, 5, Seed::new(2)));
    }
}
