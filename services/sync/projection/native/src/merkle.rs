//! Leaves and roots of RFC 6962 trees (SHA-256), as `services.core.merkle` has them.

use sha2::{Digest, Sha256};

pub type Hash = [u8; 32];

pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(entry).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new_with_prefix([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The root over leaf hashes in their order.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut edge: Vec<Hash> = Vec::with_capacity(64);
    for (size, leaf) in leaves.iter().enumerate() {
        let mut hash = *leaf;
        for _ in 0..size.trailing_ones() {
            hash = node(&edge.pop().expect("a full subtree for each bit"), &hash);
        }
        edge.push(hash);
    }
    let Some(mut hash) = edge.pop() else { return Sha256::digest(b"").into() };
    while let Some(left) = edge.pop() {
        hash = node(&left, &hash);
    }
    hash
}
