use alloy_primitives::{Address, B256, U256};
use tale_chain::abi::{
    Distribution,
    Distributor::{self},
    Total,
};

use crate::world::{CONFIRMER, DAY, DELAY, Day, GUARDIAN, OWNER, PROPOSER, World, person};

const ANNA: u64 = 10;
const BEN: u64 = 11;

fn day(world: &World, number: u64, anna: u64, ben: u64) -> Day {
    Day::new(number, &[(person(ANNA), world.tokens[0], anna), (person(BEN), world.tokens[0], ben)])
}

fn funded() -> World {
    let mut world = World::new();
    world.fund(world.tokens[0], 1_000);
    world
}

fn current(world: &mut World) -> Distribution {
    world.call(person(ANNA), &Distributor::currentDistributionCall {}).unwrap()
}

#[test]
fn a_root_pays_only_when_its_delay_has_passed() {
    let mut world = funded();
    let token = world.tokens[0];
    let first = day(&world, 20_000, 10, 20);
    world.publish(&first).unwrap();
    world.now += DELAY - 1;
    assert_eq!(world.claim(&first, ANNA, token).unwrap_err().name(), "RootNotClaimable");
    assert_eq!(current(&mut world).root, B256::ZERO);
    world.now += 1;
    assert_eq!(current(&mut world).root, first.root());
    assert_eq!(world.claim(&first, ANNA, token).unwrap(), 10);
}

#[test]
fn a_root_that_was_ever_confirmed_is_refused() {
    let mut world = funded();
    let first = day(&world, 20_000, 10, 20);
    world.publish(&first).unwrap();
    world.wait();
    world.now += DAY;
    let replayed = Day { end_time: 20_001 * DAY, ..first };
    assert_eq!(world.refused(PROPOSER, &replayed.propose()), "RepeatedRoot");
    // nor does one come back that was disabled
    let second = day(&world, 20_001, 11, 20);
    world.publish(&second).unwrap();
    world.call(person(GUARDIAN), &Distributor::disableCall { root: second.root() }).unwrap();
    assert_eq!(world.refused(PROPOSER, &second.propose()), "RepeatedRoot");
}

#[test]
fn days_end_later_than_those_before_them_and_not_in_the_future() {
    let mut world = funded();
    let first = day(&world, 20_000, 10, 20);
    world.publish(&first).unwrap();
    world.wait();
    for (end, error) in
        [(19_999, "EndTimeNotLater"), (20_000, "EndTimeNotLater"), (20_001, "EndTimeInFuture")]
    {
        let wrong = day(&world, end, 11, 21);
        assert_eq!(world.refused(PROPOSER, &wrong.propose()), error, "{end}");
    }
}

#[test]
fn one_root_waits_at_a_time() {
    let mut world = funded();
    let first = day(&world, 19_999, 10, 20);
    world.publish(&first).unwrap();
    let second = day(&world, 20_000, 11, 20);
    assert_eq!(world.refused(PROPOSER, &second.propose()), "RootPending");
    world.wait();
    world.publish(&second).unwrap();
}

#[test]
fn a_root_without_content_is_refused() {
    let mut world = funded();
    let first = day(&world, 20_000, 10, 20);
    let honest = first.propose();
    let [token, other] = world.tokens;
    let total = |token: Address, amount: u64| Total { token, cumulative: U256::from(amount) };
    let wrong = [
        (Distributor::proposeCall { root: B256::ZERO, ..honest.clone() }, "NoRoot"),
        (Distributor::proposeCall { totals: vec![], ..honest.clone() }, "TokenCount"),
        (Distributor::proposeCall { totals: vec![total(token, 1); 17], ..honest.clone() }, "TokenCount"),
        (Distributor::proposeCall { totals: vec![total(token, 0)], ..honest.clone() }, "NothingPromised"),
        (
            Distributor::proposeCall { totals: vec![total(token, 1), total(token, 1)], ..honest.clone() },
            "TokensNotAscending",
        ),
        (
            Distributor::proposeCall { totals: vec![total(other, 0), total(token, 1)], ..honest },
            "NothingPromised",
        ),
    ];
    for (call, error) in wrong {
        assert_eq!(world.refused(PROPOSER, &call), error, "{call:?}");
    }
}

#[test]
fn failure_9_a_root_that_promises_more_than_is_funded_is_refused() {
    let mut world = World::new();
    let [token, other] = world.tokens;
    world.fund(token, 29);
    let first = day(&world, 20_000, 10, 20);
    assert_eq!(world.refused(PROPOSER, &first.propose()), "Insolvent");
    world.fund(token, 1);
    world.publish(&first).unwrap();
    world.wait();
    world.claim(&first, BEN, token).unwrap();

    // what was claimed needs no funds any more, and what was not still does: 10 outstanding, 10 there
    world.now += DAY;
    let more = day(&world, 20_001, 10, 21);
    assert_eq!(world.refused(PROPOSER, &more.propose()), "Insolvent");
    // one token's funds do not cover another's promises
    let amounts = [(person(ANNA), token, 10), (person(BEN), token, 20), (person(ANNA), other, 1)];
    let with_other = Day::new(20_001, &amounts);
    assert_eq!(world.refused(PROPOSER, &with_other.propose()), "Insolvent");
    world.fund(other, 1);
    world.publish(&with_other).unwrap();

    // funds are there when it is proposed and gone when it is confirmed: Anna claims in between, which changes nothing
    world.wait();
    world.now += DAY;
    world.fund(token, 1);
    let amounts = [(person(ANNA), token, 10), (person(BEN), token, 21), (person(ANNA), other, 1)];
    let last = Day::new(20_002, &amounts);
    world.call(person(PROPOSER), &last.propose()).unwrap();
    world.claim(&with_other, ANNA, token).unwrap();
    world.call(person(CONFIRMER), &last.confirm()).unwrap();
    world.wait();
    // in any order, every claim is paid to the end
    assert_eq!(world.claim(&last, ANNA, other).unwrap(), 1);
    assert_eq!(world.claim(&last, BEN, token).unwrap(), 1);
    assert_eq!([token, other].map(|token| world.balance(token, world.distributor)), [0, 0]);
}

#[test]
fn a_total_that_falls_and_a_token_that_is_missing_are_refused() {
    let mut world = funded();
    let [token, other] = world.tokens;
    world.fund(other, 5);
    let amounts = [(person(ANNA), token, 10), (person(BEN), token, 20), (person(BEN), other, 5)];
    let first = Day::new(20_000, &amounts);
    world.publish(&first).unwrap();
    world.wait();
    world.now += DAY;
    let fallen = Day::new(20_001, &[(person(ANNA), token, 29), (person(BEN), other, 5)]);
    assert_eq!(world.refused(PROPOSER, &fallen.propose()), "TotalFalls");
    let missing = day(&world, 20_001, 20, 20);
    assert_eq!(world.refused(PROPOSER, &missing.propose()), "TokensMissing");
}

#[test]
fn a_root_disabled_in_its_window_leaves_the_one_before_it() {
    let mut world = funded();
    let token = world.tokens[0];
    let first = day(&world, 20_000, 10, 20);
    world.publish(&first).unwrap();
    let disable = |day: &Day| Distributor::disableCall { root: day.root() };
    for stranger in [ANNA, OWNER, PROPOSER, CONFIRMER] {
        assert_eq!(world.refused(stranger, &disable(&first)), "NotInRole");
    }
    world.wait();
    assert_eq!(world.refused(GUARDIAN, &disable(&first)), "NotPending");

    world.now += DAY;
    let second = day(&world, 20_001, 900, 20);
    world.publish(&second).unwrap();
    assert_eq!(world.refused(GUARDIAN, &disable(&first)), "NotPending");
    world.call(person(GUARDIAN), &disable(&second)).unwrap();
    assert_eq!(world.refused(GUARDIAN, &disable(&second)), "NotPending");
    world.wait();
    assert_eq!(world.claim(&second, ANNA, token).unwrap_err().name(), "RootNotClaimable");
    assert_eq!(current(&mut world).root, first.root());
    assert_eq!(world.claim(&first, ANNA, token).unwrap(), 10);
    // the same day again, corrected
    let corrected = day(&world, 20_001, 12, 20);
    world.publish(&corrected).unwrap();
    world.wait();
    assert_eq!(world.claim(&corrected, ANNA, token).unwrap(), 2);
}

#[test]
fn a_pause_stops_the_clock_of_a_root_that_waits() {
    let mut world = funded();
    let token = world.tokens[0];
    let first = day(&world, 20_000, 10, 20);
    world.publish(&first).unwrap();
    world.call(person(GUARDIAN), &Distributor::pauseCall {}).unwrap();
    world.now += 10 * DAY;
    world.call(person(ANNA), &Distributor::activateCall {}).unwrap();
    assert_eq!(current(&mut world).root, B256::ZERO);
    world.call(person(GUARDIAN), &Distributor::disableCall { root: first.root() }).unwrap();
    world.call(person(OWNER), &Distributor::unpauseCall {}).unwrap();
    assert_eq!(world.claim(&first, ANNA, token).unwrap_err().name(), "RootNotClaimable");
    // one that was due when the pause began is active, whether or not anybody had called since
    let second = day(&world, 20_001, 10, 21);
    world.publish(&second).unwrap();
    world.wait();
    world.call(person(OWNER), &Distributor::pauseCall {}).unwrap();
    assert_eq!(world.refused(GUARDIAN, &Distributor::disableCall { root: second.root() }), "NotPending");
}
