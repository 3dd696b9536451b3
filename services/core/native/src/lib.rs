//! What more than one native engine needs: Avro's bytes, Merkle trees, and what these are hashed by.

pub mod avro;
pub mod merkle;
pub mod sha256;
