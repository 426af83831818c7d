use std::ops::Range;

/// The variable that replays one seed.
const REPLAY: &str = "TALE_SEED";

/// The seeds that a simulation runs over: the same at every run, or those of `$TALE_SEED` when that is set: `7`, or `7..12`
/// for 7 to 11.
///
/// # Panics
/// When `$TALE_SEED` is neither: a test that replayed something else would mislead.
pub fn seeds(count: u64) -> impl Iterator<Item = u64> {
    range(std::env::var(REPLAY).ok().as_deref(), count)
}

fn range(replay: Option<&str>, count: u64) -> Range<u64> {
    let Some(text) = replay else { return 0..count };
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{REPLAY}={text} is not a seed"));
    let seeds = match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(text)..number(text) + 1,
    };
    assert!(!seeds.is_empty(), "{REPLAY}={text} are no seeds");
    seeds
}

/// Prints, when the thread panics before the notice is dropped, how to replay this seed.
pub fn announce_on_panic(seed: u64) -> SeedNotice {
    SeedNotice { seed }
}

/// See [`announce_on_panic`].
#[derive(Debug)]
#[must_use = "the notice speaks only while it lives: `let _notice = …`"]
pub struct SeedNotice {
    seed: u64,
}

impl Drop for SeedNotice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {seed}: replay it with {REPLAY}={seed}", seed = self.seed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_given_from_outside_is_the_only_one() {
        assert_eq!(range(None, 3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(range(Some("41"), 3).collect::<Vec<_>>(), [41]);
        assert_eq!(range(Some("41..43"), 3).collect::<Vec<_>>(), [41, 42]);
    }

    #[test]
    #[should_panic(expected = "TALE_SEED=5..5 are no seeds")]
    fn no_seeds_are_refused() {
        range(Some("5..5"), 3);
    }

    #[test]
    #[should_panic(expected = "TALE_SEED=x is not a seed")]
    fn a_seed_that_is_no_number_is_refused() {
        range(Some("x"), 3);
    }
}
