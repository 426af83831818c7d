use rayon::prelude::*;

use super::{Leaf, MerkleError, MerkleHash};

/// How many hashes one thread computes at least: fewer are not worth a second one.
const HASHES_MIN: usize = 1024;

/// A tree over leaves of one kind, in the order in which they were given.
#[derive(Debug, Clone)]
pub struct MerkleTree<L> {
    leaves: Vec<L>,
    /// `tree[0]` is the root.
    tree: Vec<MerkleHash>,
    /// Where in `tree` each leaf stands.
    places: Vec<usize>,
}

impl<L: Leaf> MerkleTree<L> {
    /// The tree of these leaves. Their order decides nothing but the order of the dump's values.
    pub fn build(leaves: Vec<L>) -> Result<Self, MerkleError> {
        if leaves.is_empty() {
            return Err(MerkleError::Empty);
        }
        let words = || Vec::with_capacity(32 * L::ENCODING.len());
        let mut hashes: Vec<(MerkleHash, usize)> = leaves
            .par_iter()
            .enumerate()
            .with_min_len(HASHES_MIN)
            .map_init(words, |words, (place, leaf)| {
                words.clear();
                leaf.abi_encode(words);
                (MerkleHash::of_leaf(words), place)
            })
            .collect();
        // no two are equal, so that every sort gives the same order
        hashes.par_sort_unstable();
        if let Some(pair) = hashes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(MerkleError::Duplicate { first: pair[0].1, second: pair[1].1 });
        }

        let nodes = 2 * leaves.len() - 1;
        let mut tree = vec![MerkleHash::from_bytes([0; 32]); nodes];
        let mut places = vec![0; leaves.len()];
        for (rank, (hash, place)) in hashes.into_iter().enumerate() {
            tree[nodes - 1 - rank] = hash;
            places[place] = nodes - 1 - rank;
        }
        // level by level from the lowest: the children of one are the beginning of what comes after it
        let parents = leaves.len() - 1;
        for depth in (0..parents.checked_ilog2().map_or(0, |deepest| deepest + 1)).rev() {
            let (first, end) = ((1 << depth) - 1, (2 << depth) - 1);
            let (above, below) = tree.split_at_mut(end);
            let level = &mut above[first..end.min(parents)];
            level
                .par_iter_mut()
                .zip(below.par_chunks_exact(2))
                .with_min_len(HASHES_MIN)
                .for_each(|(parent, children)| *parent = MerkleHash::of_pair(&children[0], &children[1]));
        }
        Ok(Self { leaves, tree, places })
    }

    /// The root: what a contract stores.
    pub fn root(&self) -> MerkleHash {
        self.tree[0]
    }

    /// The leaves in the order in which they were given.
    pub fn leaves(&self) -> &[L] {
        &self.leaves
    }

    /// Every node, the root first.
    pub fn nodes(&self) -> &[MerkleHash] {
        &self.tree
    }

    /// Where among [`MerkleTree::nodes`] the leaf given at `place` stands.
    pub fn tree_index(&self, place: usize) -> Option<usize> {
        self.places.get(place).copied()
    }

    /// The siblings from the leaf given at `place` up to the root, or nothing where there is no such leaf.
    pub fn proof(&self, place: usize) -> Option<Vec<MerkleHash>> {
        let mut node = self.tree_index(place)?;
        let mut proof = Vec::new();
        while node > 0 {
            let sibling = if node % 2 == 1 { node + 1 } else { node - 1 };
            proof.push(self.tree[sibling]);
            node = (node - 1) / 2;
        }
        Some(proof)
    }
}

/// Whether `proof` shows that the tree with this root has this leaf.
pub fn verify_proof<L: Leaf>(root: &MerkleHash, leaf: &L, proof: &[MerkleHash]) -> bool {
    let mut words = Vec::with_capacity(32 * L::ENCODING.len());
    leaf.abi_encode(&mut words);
    let end = proof.iter().fold(MerkleHash::of_leaf(&words), |node, next| MerkleHash::of_pair(&node, next));
    end == *root
}
