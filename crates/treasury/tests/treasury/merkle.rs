use proptest::prelude::*;
use tale_primitives::{Address, Amount};
use tale_treasury::{ClaimLeaf, ClaimsTree, Leaf, MerkleError, MerkleTree, TreeDump, verify_proof};

use crate::{amount, owner};

fn repeated(byte: u8) -> Address {
    Address::from_bytes([byte; 20])
}

fn amounts() -> [(Address, Amount); 3] {
    [
        (repeated(0x11), amount("1000000000000000000")),
        (repeated(0x22), amount("2500000000000000000")),
        (repeated(0x33), amount("1")),
    ]
}

fn claim((account, cumulative): (Address, Amount)) -> ClaimLeaf {
    ClaimLeaf { account, token: repeated(0xaa), cumulative }
}

/// Vector V1, made with `@openzeppelin/merkle-tree` 1.0.8.
#[test]
fn a_tree_of_address_and_amount_is_the_javascript_trees() {
    let tree = MerkleTree::build(amounts().to_vec()).unwrap();
    let leaves = [
        "0xb38ec842db1cd54e5e5ce48491f1a404551e9726ebda349d0478e189e0996dd4",
        "0xb92c48e9d7abe27fd8dfd6b5dfdbfb1c9a463f80c712b66f3a5180a090cccafc",
        "0xc3d2e29c8ded2ca4aa700f83273d097a3fb1683f4b5f291a8ee7d74ff26fc6b3",
    ];
    let text = |hashes: Option<Vec<_>>| hashes.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(tree.root().to_string(), "0xfe6cb027ba4bd7803cf97c9176fabc6bd81ef841a6b1ede9a38677f72fcebb53");
    for (place, tree_index) in [4, 3, 2].into_iter().enumerate() {
        assert_eq!(tree.tree_index(place), Some(tree_index));
        assert_eq!(tree.nodes()[tree_index].to_string(), leaves[place]);
    }
    assert_eq!(text(tree.proof(0)), [leaves[1], leaves[2]]);
    assert_eq!(text(tree.proof(2)), ["0x5aafa111a8add43a7c11e121dc72ce8d1e138114e148625f6411b4cf96664fd7"]);
    assert_eq!(tree.proof(3), None);
}

/// Vector V2, made with `@openzeppelin/merkle-tree` 1.0.8.
#[test]
fn a_tree_of_claims_is_the_javascript_trees() {
    let tree = ClaimsTree::build(amounts().map(claim).to_vec()).unwrap();
    assert_eq!(tree.root().to_string(), "0x6b6c40f171c5f25da653d42ffb6580a5d91b99537b95a441edcd5335e78a3ab4");
}

/// `standard-v1.json` was written by `StandardMerkleTree.of(values, types).dump()`, version 1.0.8.
#[test]
fn a_dump_is_the_javascript_dump() {
    let text = include_str!("standard-v1.json");
    let dump: TreeDump = serde_json::from_str(text).unwrap();
    let tree = ClaimsTree::load(&dump).unwrap();
    assert_eq!(serde_json::to_string(&tree.dump()).unwrap(), text.trim_end());
}

#[test]
fn a_dump_that_was_changed_is_refused() {
    let dump = ClaimsTree::build(amounts().map(claim).to_vec()).unwrap().dump();
    let load = |change: &dyn Fn(&mut TreeDump)| {
        let mut changed = dump.clone();
        change(&mut changed);
        ClaimsTree::load(&changed).err()
    };
    assert_eq!(load(&|_| ()), None);
    assert_eq!(load(&|d| d.values[0].value[2] = "7".to_owned()), Some(MerkleError::CorruptDump));
    assert_eq!(load(&|d| d.values[0].tree_index += 1), Some(MerkleError::CorruptDump));
    assert_eq!(load(&|d| d.tree[0] = d.tree[1]), Some(MerkleError::CorruptDump));
    assert_eq!(
        load(&|d| d.values[1].value[0] = "0x12".to_owned()),
        Some(MerkleError::UnreadableValue { place: 1 })
    );
    assert_eq!(load(&|d| drop(d.values.drain(..))), Some(MerkleError::Empty));
    assert!(matches!(load(&|d| d.format = "core-v1".to_owned()), Some(MerkleError::OtherFormat { .. })));
    let other = MerkleTree::<(Address, Amount)>::load(&dump).err();
    assert!(matches!(other, Some(MerkleError::OtherFormat { .. })));
}

#[test]
fn a_tree_of_nothing_and_a_leaf_given_twice_are_refused() {
    assert_eq!(ClaimsTree::build(Vec::new()).err(), Some(MerkleError::Empty));
    let [a, b, _] = amounts();
    let twice = MerkleTree::build(vec![a, b, a]).err();
    assert_eq!(twice, Some(MerkleError::Duplicate { first: 0, second: 2 }));
}

#[test]
fn a_single_leaf_is_its_own_root_with_an_empty_proof() {
    let tree = MerkleTree::build(vec![amounts()[0]]).unwrap();
    assert_eq!(tree.proof(0), Some(Vec::new()));
    assert!(verify_proof(&tree.root(), &amounts()[0], &[]));
}

#[test]
fn a_hundred_thousand_leaves_take_little_time() {
    let leaves: Vec<ClaimLeaf> =
        (0..100_000).map(|n| claim((owner(n), Amount::from(u64::from(n))))).collect();
    let start = std::time::Instant::now();
    let tree = ClaimsTree::build(leaves).unwrap();
    let elapsed = start.elapsed();
    println!("100000 leaves: {elapsed:?} (root {})", tree.root());
    assert!(elapsed.as_secs() < 10, "{elapsed:?}");
}

proptest! {
    #[test]
    fn every_proof_verifies_and_no_changed_leaf_does(values in prop::collection::btree_map(0..500u32, any::<u64>(), 1..60)) {
        let leaves: Vec<ClaimLeaf> =
            values.into_iter().map(|(n, units)| claim((owner(n), Amount::from(units)))).collect();
        let tree = ClaimsTree::build(leaves.clone()).unwrap();
        for (place, leaf) in leaves.iter().enumerate() {
            let proof = tree.proof(place).unwrap();
            prop_assert!(verify_proof(&tree.root(), leaf, &proof));
            let more = leaf.cumulative.checked_add(Amount::from(1u64)).unwrap();
            for changed in [
                ClaimLeaf { cumulative: more, ..*leaf },
                ClaimLeaf { account: leaf.token, ..*leaf },
                ClaimLeaf { token: leaf.account, ..*leaf },
            ] {
                prop_assert!(!verify_proof(&tree.root(), &changed, &proof), "{:?}", changed);
            }
            if let Some((_, shorter)) = proof.split_last() {
                prop_assert!(!verify_proof(&tree.root(), leaf, shorter));
            }
        }
    }

    #[test]
    fn the_order_of_the_leaves_does_not_change_the_root(
        (leaves, shuffled) in prop::collection::btree_map(0..500u32, any::<u64>(), 1..40).prop_flat_map(|values| {
            let leaves: Vec<ClaimLeaf> =
                values.into_iter().map(|(n, units)| claim((owner(n), Amount::from(units)))).collect();
            (Just(leaves.clone()), Just(leaves).prop_shuffle())
        }),
    ) {
        let (tree, other) = (ClaimsTree::build(leaves).unwrap(), ClaimsTree::build(shuffled).unwrap());
        prop_assert_eq!(tree.nodes(), other.nodes());
        let loaded = ClaimsTree::load(&other.dump()).unwrap();
        prop_assert_eq!(loaded.leaves(), other.leaves());
    }
}

#[test]
fn a_leaf_survives_its_dumped_values() {
    let leaf = claim(amounts()[1]);
    assert_eq!(ClaimLeaf::from_values(&leaf.to_values()), Some(leaf));
    assert_eq!(ClaimLeaf::from_values(&leaf.to_values()[..2]), None);
}
