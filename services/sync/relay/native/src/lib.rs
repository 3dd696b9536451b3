//! Kafka's bytes, whole record batches at a time: what the relay reads and writes without opening single messages in Python.
//!
//! It speaks to brokers from 4.0 on, with SCRAM-SHA-512, and writes in transactions of version 2 (KIP-890) only, whose
//! epochs grow with every transaction: a request that comes too late belongs to none. Membership in a group, and all else
//! that is not data, stays with librdkafka.

mod batches;
mod cluster;
mod connection;
mod fetching;
mod memory;
mod placing;
mod scram;
mod writing;

pub use batches::{Entry, Header, Slice};
pub use connection::{Error, Login, Result};
pub use fetching::{Fetcher, Isolation, Partition};
pub use placing::partition_of;
pub use writing::{Group, Records, Writer};
