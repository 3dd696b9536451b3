//! SHA-256 (FIPS 180-4) of messages that lie in one piece, two at a time where there are two: while a round of one waits
//! for the one before, the processor works at the other.

use crate::merkle::{Digest, Hash};
use sha2::block_api::compress256;

const BLOCK: usize = 64;
/// The fractional parts of the square roots of the first eight primes (FIPS 180-4, 5.3.3).
const BEGIN: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

#[derive(Debug, Clone, Copy)]
pub struct Sha256;

impl Digest for Sha256 {
    #[inline]
    fn of(self, message: &[u8]) -> Hash {
        let (mut state, padded) = (BEGIN, Padded::of(message));
        compress256(&mut state, padded.whole);
        compress256(&mut state, padded.last());
        hash_of(&state)
    }

    #[inline]
    fn of_two(self, one: &[u8], other: &[u8]) -> [Hash; 2] {
        let (mut state, mut other_state) = (BEGIN, BEGIN);
        let (one, other) = (Padded::of(one), Padded::of(other));
        let both = one.blocks().min(other.blocks());
        for number in 0..both {
            compress256(&mut state, one.block(number));
            compress256(&mut other_state, other.block(number));
        }
        for number in both..one.blocks() {
            compress256(&mut state, one.block(number));
        }
        for number in both..other.blocks() {
            compress256(&mut other_state, other.block(number));
        }
        [hash_of(&state), hash_of(&other_state)]
    }
}

/// A message in blocks: those that are `whole`, then one or two that end with its length in bits.
struct Padded<'a> {
    whole: &'a [[u8; BLOCK]],
    ends: [[u8; BLOCK]; 2],
    last: usize,
}

impl<'a> Padded<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let (whole, rest) = message.as_chunks::<BLOCK>();
        let mut ends = [[0; BLOCK]; 2];
        let last = if rest.len() < BLOCK - 8 { 1 } else { 2 };
        let bytes = ends.as_flattened_mut();
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()] = 0x80;
        bytes[last * BLOCK - 8..last * BLOCK].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
        Self { whole, ends, last }
    }

    fn last(&self) -> &[[u8; BLOCK]] {
        &self.ends[..self.last]
    }

    fn blocks(&self) -> usize {
        self.whole.len() + self.last
    }

    #[inline]
    fn block(&self, number: usize) -> &[[u8; BLOCK]] {
        match number.checked_sub(self.whole.len()) {
            None => &self.whole[number..=number],
            Some(number) => &self.ends[number..=number],
        }
    }
}

fn hash_of(state: &[u32; 8]) -> Hash {
    let mut hash = Hash::default();
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}
