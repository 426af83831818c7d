use alloy_primitives::{Address, B256};
use tale_chain::abi::Distributor::{self, Role};

use crate::world::{CONFIRMER, DAY, DELAY, Day, GUARDIAN, OWNER, PROPOSER, World, person};

const ANNA: u64 = 10;
const NEXT: u64 = 20;

fn day(world: &World, number: u64, amount: u64) -> Day {
    Day::new(number, &[(person(ANNA), world.tokens[0], amount)])
}

fn nominate(role: Role, nominee: u64) -> Distributor::nominateCall {
    Distributor::nominateCall { role, nominee: person(nominee) }
}

fn accept(role: Role) -> Distributor::acceptCall {
    Distributor::acceptCall { role }
}

#[test]
fn failure_10_a_lost_key_is_rotated_mid_epoch_and_one_signer_publishes_nothing() {
    let mut world = World::new();
    let token = world.tokens[0];
    world.fund(token, 100);

    // one signer cannot publish: neither alone, nor in the other's place
    let first = day(&world, 20_000, 10);
    assert_eq!(world.refused(CONFIRMER, &first.propose()), "NotInRole");
    assert_eq!(world.refused(CONFIRMER, &first.confirm()), "NotProposed");
    world.call(person(PROPOSER), &first.propose()).unwrap();
    assert_eq!(world.refused(PROPOSER, &first.confirm()), "NotInRole");
    for stranger in [ANNA, OWNER, GUARDIAN] {
        assert_eq!(world.refused(stranger, &first.propose()), "NotInRole");
        assert_eq!(world.refused(stranger, &first.confirm()), "NotInRole");
    }

    // the proposer's key leaks between proposal and confirmation: what it proposed goes with it
    world.call(person(OWNER), &nominate(Role::Proposer, NEXT)).unwrap();
    let stolen = day(&world, 20_000, 99);
    world.call(person(PROPOSER), &stolen.propose()).unwrap();
    world.call(person(NEXT), &accept(Role::Proposer)).unwrap();
    assert_eq!(world.refused(CONFIRMER, &stolen.confirm()), "NotProposed");
    assert_eq!(world.refused(PROPOSER, &stolen.propose()), "NotInRole");
    world.call(person(NEXT), &first.propose()).unwrap();
    world.call(person(CONFIRMER), &first.confirm()).unwrap();
    world.wait();
    assert_eq!(world.claim(&first, ANNA, token).unwrap(), 10);

    // both keys are stolen and a false root is confirmed: the guardian disables it in its window
    world.now += DAY;
    world.call(person(NEXT), &stolen_day(&world).propose()).unwrap();
    world.call(person(CONFIRMER), &stolen_day(&world).confirm()).unwrap();
    world.now += DELAY - 1;
    let disable = Distributor::disableCall { root: stolen_day(&world).root() };
    world.call(person(GUARDIAN), &disable).unwrap();
    world.now += DAY;
    let current = world.call(person(ANNA), &Distributor::currentDistributionCall {}).unwrap();
    assert_eq!(current.root, first.root());
}

fn stolen_day(world: &World) -> Day {
    day(world, 20_001, 100)
}

#[test]
fn a_role_changes_hands_when_its_nominee_accepts_and_not_before() {
    for role in [Role::Proposer, Role::Confirmer, Role::Guardian] {
        let mut world = World::new();
        let before = world.role(role);
        for stranger in [ANNA, PROPOSER, CONFIRMER, GUARDIAN] {
            assert_eq!(world.refused(stranger, &nominate(role, NEXT)), "OwnableUnauthorizedAccount");
        }
        world.call(person(OWNER), &nominate(role, NEXT)).unwrap();
        assert_eq!(world.role(role), before);
        assert_eq!(world.refused(ANNA, &accept(role)), "NotNominated");
        world.call(person(NEXT), &accept(role)).unwrap();
        assert_eq!(world.role(role), person(NEXT));
        assert_eq!(world.refused(NEXT, &accept(role)), "NotNominated");

        // a naming that was taken back cannot be accepted
        world.call(person(OWNER), &nominate(role, ANNA)).unwrap();
        let nobody = Distributor::nominateCall { role, nominee: Address::ZERO };
        world.call(person(OWNER), &nobody).unwrap();
        assert_eq!(world.refused(ANNA, &accept(role)), "NotNominated");
    }
}

#[test]
fn no_key_holds_two_roles() {
    let mut world = World::new();
    world.call(person(OWNER), &nominate(Role::Proposer, CONFIRMER)).unwrap();
    assert_eq!(world.refused(CONFIRMER, &accept(Role::Proposer)), "HolderOfAnotherRole");
    let [one, two, three] = [1, 2, 3].map(person);
    for keys in [[one, two, two, three], [one, two, three, three], [one, three, two, three]] {
        let refusal = world.deploy_distributor(keys, DELAY).unwrap_err();
        assert_eq!(refusal.name(), "HolderOfAnotherRole");
    }
}

#[test]
fn a_distributor_without_keys_or_with_an_unreasonable_delay_is_not_deployed() {
    let mut world = World::new();
    let keys = [OWNER, PROPOSER, CONFIRMER, GUARDIAN].map(person);
    for delay in [0, 30 * DAY + 1, u64::MAX] {
        assert_eq!(world.deploy_distributor(keys, delay).unwrap_err().name(), "DelayOutOfRange");
    }
    for (missing, error) in [(0, "OwnableInvalidOwner"), (1, "NoKey"), (2, "NoKey"), (3, "NoKey")] {
        let mut keys = keys;
        keys[missing] = Address::ZERO;
        assert_eq!(world.deploy_distributor(keys, DELAY).unwrap_err().name(), error);
    }
}

#[test]
fn ownership_passes_in_two_steps_and_is_never_given_up() {
    let mut world = World::new();
    let transfer = Distributor::transferOwnershipCall { newOwner: person(NEXT) };
    assert_eq!(world.refused(NEXT, &transfer), "OwnableUnauthorizedAccount");
    world.call(person(OWNER), &transfer).unwrap();
    world.call(person(OWNER), &nominate(Role::Guardian, ANNA)).unwrap();
    assert_eq!(world.refused(OWNER, &Distributor::renounceOwnershipCall {}), "OwnerNeeded");
    world.call(person(NEXT), &Distributor::acceptOwnershipCall {}).unwrap();
    assert_eq!(world.refused(OWNER, &nominate(Role::Guardian, ANNA)), "OwnableUnauthorizedAccount");
}

#[test]
fn a_confirmation_states_what_was_proposed_to_the_bit() {
    let mut world = World::new();
    world.fund(world.tokens[0], 100);
    let proposed = day(&world, 20_000, 10);
    world.call(person(PROPOSER), &proposed.propose()).unwrap();
    let mut totals = proposed.totals.clone();
    totals[0].cumulative += alloy_primitives::U256::ONE;
    let honest = proposed.confirm();
    let others = [
        Distributor::confirmCall { root: B256::repeat_byte(7), ..honest.clone() },
        Distributor::confirmCall { endTime: 19_999 * DAY, ..honest.clone() },
        Distributor::confirmCall { totals, ..honest.clone() },
    ];
    for other in &others {
        assert_eq!(world.refused(CONFIRMER, other), "NotProposed", "{other:?}");
    }
    world.call(person(CONFIRMER), &honest).unwrap();
    assert_eq!(world.refused(CONFIRMER, &honest), "NotProposed");
}
