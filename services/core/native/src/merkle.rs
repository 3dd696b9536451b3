//! Leaves, nodes and roots of RFC 6962 trees, as `services/core/merkle.py` and `services/audit/verifier.py` have them.

use sha2::digest::Digest;
use sha2::digest::consts::U32;

pub type Hash = [u8; 32];

pub fn leaf<D: Digest<OutputSize = U32>>(entry: &[u8]) -> Hash {
    D::new_with_prefix([0]).chain_update(entry).finalize().into()
}

pub fn node<D: Digest<OutputSize = U32>>(left: &Hash, right: &Hash) -> Hash {
    let mut message = [1; 65];
    message[1..33].copy_from_slice(left);
    message[33..].copy_from_slice(right);
    D::digest(message).into()
}

/// The root over leaf hashes in their order.
pub fn root<D: Digest<OutputSize = U32>>(leaves: &[Hash]) -> Hash {
    let mut edge: Vec<Hash> = Vec::with_capacity(64);
    for (size, leaf) in leaves.iter().enumerate() {
        let mut hash = *leaf;
        for _ in 0..size.trailing_ones() {
            hash = node::<D>(&edge.pop().expect("a full subtree for each bit"), &hash);
        }
        edge.push(hash);
    }
    let Some(mut hash) = edge.pop() else { return D::digest(b"").into() };
    while let Some(left) = edge.pop() {
        hash = node::<D>(&left, &hash);
    }
    hash
}
