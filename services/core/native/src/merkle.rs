//! Nodes and roots of RFC 6962 trees, as `services/core/merkle.py` and `services/audit/verifier.py` have them.

pub type Hash = [u8; 32];

/// What begins the message of a leaf, before its entry.
pub const LEAF: u8 = 0;
/// What begins the message of a node, before its two children.
const NODE: u8 = 1;

/// What a tree is hashed by.
pub trait Digest: Copy {
    fn of(self, message: &[u8]) -> Hash;

    /// Of two messages, which may take less than one after the other.
    fn of_two(self, one: &[u8], other: &[u8]) -> [Hash; 2];
}

/// The nodes over each two of `hashes`; one without another is left out.
pub fn nodes(digest: impl Digest, hashes: &[Hash]) -> Vec<Hash> {
    let mut made = Vec::with_capacity(hashes.len() / 2 + 1);
    let (pairs, _) = hashes.as_chunks::<2>();
    let (fours, rest) = pairs.as_chunks::<2>();
    for [one, other] in fours {
        made.extend(digest.of_two(&message_of(one), &message_of(other)));
    }
    made.extend(rest.iter().map(|one| digest.of(&message_of(one))));
    made
}

fn message_of([left, right]: &[Hash; 2]) -> [u8; 65] {
    let mut message = [NODE; 65];
    message[1..33].copy_from_slice(left);
    message[33..].copy_from_slice(right);
    message
}

/// The root over leaf hashes in their order; an odd one out is taken up a level as it is, as RFC 6962 splits.
pub fn root(digest: impl Digest, leaves: &[Hash]) -> Hash {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        let mut above = nodes(digest, &level);
        if level.len() % 2 == 1 {
            above.extend(level.last());
        }
        level = above;
    }
    level.pop().unwrap_or_else(|| digest.of(b""))
}
