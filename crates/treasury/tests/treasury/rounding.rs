//! Money without rounding errors.

use std::{fs, path::Path};

use rand::{Rng, RngExt};
use tale_primitives::{Amount, GeneratorId, Seed, UtcDay};
use tale_testkit::{announce_on_panic, seeds};
use tale_treasury::{Class, Contribution, Ruleset, SealedInputs, allocate_capped, compute};

use crate::owner;

fn adversarial(rng: &mut impl Rng) -> u64 {
    match rng.random_range(0..5) {
        0 => 1,
        1 => u64::MAX,
        2 => u64::MAX - 1,
        3 => rng.random_range(1..1_000_000),
        _ => 1 << rng.random_range(0..63),
    }
}

/// Rounding drift: an exchange lost more than $125 m to rounding in the wrong direction.
#[test]
fn failure_6_a_year_of_rounding_neither_loses_nor_makes_a_unit() {
    for seed in seeds(3) {
        let _notice = announce_on_panic(seed);
        let mut rng = Seed::new(seed).child("rounding").rng();
        // pools of one unit and of 1e27, weights of one and of 2^64
        let (mut emitted, mut paid, mut carried) = (Amount::ZERO, Amount::ZERO, Amount::ZERO);
        for _ in 0..365 {
            let pool = match rng.random_range(0..3) {
                0 => Amount::from(rng.random_range(0..5u64)),
                1 => {
                    Amount::from(1_000_000_000_000_000_000_000_000_000u128 + u128::from(rng.random::<u64>()))
                }
                _ => Amount::from(rng.random::<u64>()),
            };
            let ppm = rng.random_range(0..=1_000_000u64);
            let cap = Amount::from_u256(pool.to_u256() * units(ppm) / units(1_000_000));
            let weights: Vec<u64> = (0..rng.random_range(0..40)).map(|_| adversarial(&mut rng)).collect();
            let shared = allocate_capped(pool, cap, &weights).unwrap();
            let sum = Amount::checked_sum(shared.shares.iter().copied()).unwrap();
            emitted = emitted.checked_add(pool).unwrap();
            paid = paid.checked_add(sum).unwrap();
            carried = carried.checked_add(shared.carried).unwrap();
            assert_eq!(paid.checked_add(carried), Some(emitted));
        }
        a_year_of_epochs(&mut rng);
    }
}

fn units(number: u64) -> ruint::aliases::U256 {
    ruint::aliases::U256::from(number)
}

fn a_year_of_epochs(rng: &mut impl Rng) {
    let ruleset = Ruleset::load(2).unwrap();
    let mut day: UtcDay = "2026-01-01".parse().unwrap();
    let (mut kept, mut paid) = (Amount::ZERO, Amount::ZERO);
    for number in 1..=365u64 {
        let contributions = (0..rng.random_range(0..30u32))
            .map(|generator| Contribution {
                generator: GeneratorId::derive("rounding", &generator.to_string()),
                class: Class::ALL[rng.random_range(0..3)],
                origin: day,
                owner: owner(generator % 7),
                points: (adversarial(rng) >> 6) as i64 - rng.random_range(0..3),
            })
            .collect();
        let result = compute(&SealedInputs::new(day, 2, contributions).unwrap(), &ruleset).unwrap();
        paid = Amount::checked_sum([paid, result.paid]).unwrap();
        kept = Amount::checked_sum([kept, result.carried]).unwrap();
        assert_eq!(paid.checked_add(kept), ruleset.daily_pool().unwrap().checked_mul(number));
        day = day.next().unwrap();
    }
}

/// The sources of everything that touches money: no floating-point number, not even for a moment.
#[test]
fn no_float_comes_near_the_ledger_and_the_treasury() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders = vec![crates.join("ledger/src"), crates.join("treasury/src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
                let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let is_float =
                    |word: &str| ["f32", "f64", "f16", "f128"].iter().any(|float| word.ends_with(float));
                for word in words {
                    assert!(!is_float(word), "{}:{}: {line}", path.display(), number + 1);
                }
            }
        }
    }
    assert!(files > 20, "only {files} files were read");
}
