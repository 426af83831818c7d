use super::{Leaf, MerkleError, MerkleHash};

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
        let mut words = Vec::with_capacity(32 * L::ENCODING.len());
        let mut hashes: Vec<(MerkleHash, usize)> = Vec::with_capacity(leaves.len());
        for (place, leaf) in leaves.iter().enumerate() {
            words.clear();
            leaf.abi_encode(&mut words);
            hashes.push((MerkleHash::of_leaf(&words), place));
        }
        hashes.sort_unstable();
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
        for parent in (0..leaves.len() - 1).rev() {
            tree[parent] = MerkleHash::of_pair(&tree[2 * parent + 1], &tree[2 * parent + 2]);
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
