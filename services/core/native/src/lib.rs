//! What more than one native engine needs: Avro's bytes, and Merkle trees.

pub mod avro;
pub mod merkle;
