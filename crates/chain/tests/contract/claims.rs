use alloy_primitives::{B256, U256};
use tale_chain::abi::Distributor::{self, DistributorEvents};

use crate::world::{CONFIRMER, DAY, Day, GUARDIAN, OWNER, PROPOSER, World, person};

const ANNA: u64 = 10;
const BEN: u64 = 11;
const CLEO: u64 = 12;

/// A funded distributor with one active day: 100 for Anna, 250 for Ben, 1 for Cleo.
fn first_day() -> (World, Day) {
    let mut world = World::new();
    let token = world.tokens[0];
    world.fund(token, 1_000);
    let amounts = [(person(ANNA), token, 100), (person(BEN), token, 250), (person(CLEO), token, 1)];
    let day = Day::new(20_000, &amounts);
    world.publish(&day).unwrap();
    world.wait();
    (world, day)
}

/// The day after, with 40 more for Anna and for Cleo, made active.
fn second_day(world: &mut World) -> Day {
    let token = world.tokens[0];
    let amounts = [(person(ANNA), token, 140), (person(BEN), token, 250), (person(CLEO), token, 41)];
    let day = Day::new(20_001, &amounts);
    world.now += DAY;
    world.publish(&day).unwrap();
    world.wait();
    day
}

#[test]
fn a_claim_pays_what_the_leaf_promises_beyond_what_was_paid_before() {
    let (mut world, first) = first_day();
    let token = world.tokens[0];
    assert_eq!(world.claim(&first, ANNA, token).unwrap(), 100);
    let (amount, cumulative) = (U256::from(100), U256::from(100));
    let claimed = Distributor::Claimed { account: person(ANNA), token, amount, cumulative };
    let Some(DistributorEvents::Claimed(event)) = world.events.last() else { panic!("{:?}", world.events) };
    assert_eq!(*event, claimed);
    let second = second_day(&mut world);
    assert_eq!(world.claim(&second, ANNA, token).unwrap(), 40);
    assert_eq!(world.balance(token, person(ANNA)), 140);
}

#[test]
fn whoever_skips_nights_needs_one_proof_in_the_end() {
    let (mut world, _) = first_day();
    let token = world.tokens[0];
    let mut last = None;
    for night in 1..=5 {
        let amounts = [(person(ANNA), token, 100 + night), (person(BEN), token, 250 + 10 * night)];
        let day = Day::new(20_000 + night, &[&amounts[..], &[(person(CLEO), token, 1)]].concat());
        world.now += DAY;
        world.publish(&day).unwrap();
        last = Some(day);
    }
    world.wait();
    assert_eq!(world.claim(&last.unwrap(), BEN, token).unwrap(), 300);
}

#[test]
fn a_second_claim_with_the_same_proof_pays_nothing() {
    let (mut world, day) = first_day();
    let token = world.tokens[0];
    world.claim(&day, BEN, token).unwrap();
    assert_eq!(world.claim(&day, BEN, token).unwrap_err().name(), "NothingToClaim");
    assert_eq!(world.refused(CLEO, &day.claim_for(person(BEN), token)), "NothingToClaim");
    assert_eq!(world.balance(token, person(BEN)), 250);
}

#[test]
fn whoever_claims_for_another_pays_the_other() {
    let (mut world, day) = first_day();
    let token = world.tokens[0];
    let amount = world.call(person(CLEO), &day.claim_for(person(ANNA), token)).unwrap();
    assert_eq!(amount, U256::from(100));
    assert_eq!((world.balance(token, person(ANNA)), world.balance(token, person(CLEO))), (100, 0));
}

#[test]
fn forged_amounts_accounts_tokens_and_proofs_are_refused() {
    let (mut world, day) = first_day();
    let [token, other] = world.tokens;
    let honest = day.claim(person(ANNA), token);
    let forged = [
        Distributor::claimCall { cumulative: U256::from(101), ..honest.clone() },
        Distributor::claimCall { cumulative: U256::MAX, ..honest.clone() },
        Distributor::claimCall { token: other, ..honest.clone() },
        Distributor::claimCall { proof: vec![], ..honest.clone() },
        Distributor::claimCall { proof: vec![B256::repeat_byte(7); honest.proof.len()], ..honest.clone() },
        Distributor::claimCall { proof: [&honest.proof[..], &honest.proof[..1]].concat(), ..honest.clone() },
    ];
    for call in &forged {
        assert_eq!(world.refused(ANNA, call), "InvalidProof", "{call:?}");
    }
    // another one's leaf
    assert_eq!(world.refused(BEN, &honest), "InvalidProof");
    // an inner node of the tree is no leaf
    let node = Distributor::claimCall { proof: honest.proof[1..].to_vec(), ..honest };
    assert_eq!(world.refused(ANNA, &node), "InvalidProof");
}

#[test]
fn a_claim_survives_the_root_after_its_own_and_no_more() {
    let (mut world, first) = first_day();
    let token = world.tokens[0];
    let second = second_day(&mut world);
    // signed against the first root, mined after the second became active
    assert_eq!(world.claim(&first, BEN, token).unwrap(), 250);
    assert_eq!(world.claim(&second, ANNA, token).unwrap(), 140);
    // what the first root promised was paid long ago
    assert_eq!(world.claim(&first, ANNA, token).unwrap_err().name(), "NothingToClaim");
    let amounts = [(person(ANNA), token, 150), (person(BEN), token, 250), (person(CLEO), token, 41)];
    let third = Day::new(20_002, &amounts);
    world.now += DAY;
    world.publish(&third).unwrap();
    world.wait();
    assert_eq!(world.claim(&first, CLEO, token).unwrap_err().name(), "RootNotClaimable");
    assert_eq!(world.claim(&second, CLEO, token).unwrap(), 41);
}

#[test]
fn a_cumulative_amount_that_fell_pays_nothing() {
    let (mut world, first) = first_day();
    let token = world.tokens[0];
    world.claim(&first, BEN, token).unwrap();
    // Ben's fell by 50, Anna's rose by as much: the sum is the same
    let amounts = [(person(ANNA), token, 150), (person(BEN), token, 200), (person(CLEO), token, 1)];
    let day = Day::new(20_001, &amounts);
    world.now += DAY;
    world.publish(&day).unwrap();
    world.wait();
    assert_eq!(world.claim(&day, BEN, token).unwrap_err().name(), "NothingToClaim");
    // and nobody gets what another was promised: what was paid never exceeds what the root commits to
    assert_eq!(world.claim(&day, ANNA, token).unwrap_err().name(), "BeyondCommitment");
    assert_eq!(world.claim(&first, ANNA, token).unwrap(), 100);
}

#[test]
fn a_pause_stops_claims_until_the_owner_ends_it() {
    let (mut world, day) = first_day();
    let token = world.tokens[0];
    let (pause, unpause) = (Distributor::pauseCall {}, Distributor::unpauseCall {});
    for stranger in [ANNA, PROPOSER, CONFIRMER] {
        assert_eq!(world.refused(stranger, &pause), "NotGuardianOrOwner");
    }
    world.call(person(GUARDIAN), &pause).unwrap();
    assert_eq!(world.claim(&day, ANNA, token).unwrap_err().name(), "EnforcedPause");
    assert_eq!(world.refused(CONFIRMER, &day.confirm()), "EnforcedPause");
    assert_eq!(world.refused(PROPOSER, &day.propose()), "EnforcedPause");
    assert_eq!(world.refused(GUARDIAN, &unpause), "OwnableUnauthorizedAccount");
    world.call(person(OWNER), &unpause).unwrap();
    assert_eq!(world.claim(&day, ANNA, token).unwrap(), 100);
}

#[test]
fn a_later_claim_costs_less_gas_than_the_bound() {
    let (mut world, first) = first_day();
    let token = world.tokens[0];
    world.claim(&first, ANNA, token).unwrap();
    let first_gas = world.gas_used;
    let second = second_day(&mut world);
    world.claim(&second, CLEO, token).unwrap();
    world.claim(&second, ANNA, token).unwrap();
    println!("gas: first claim {first_gas}, later claim {}", world.gas_used);
    assert!(world.gas_used < 90_000, "{}", world.gas_used);
}
