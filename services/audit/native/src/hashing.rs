//! The digests that a log may be kept in, and bundles of entries; as `verifier.py` has them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use sha2::Sha256;
use sha2::digest::Digest as _;
use sm3::Sm3;
use tongshu_core::avro::Cursor;
use tongshu_core::merkle::{self, Hash};

#[derive(Debug, Clone, Copy)]
pub enum Digest {
    Sha256,
    Sm3,
}

impl Digest {
    pub fn of(self, parts: &[&[u8]]) -> Hash {
        match self {
            Digest::Sha256 => {
                parts.iter().fold(Sha256::new(), |state, part| state.chain_update(part)).finalize().into()
            }
            Digest::Sm3 => parts.iter().fold(Sm3::new(), |state, part| state.chain_update(part)).finalize().into(),
        }
    }

    pub fn leaf(self, entry: &[u8]) -> Hash {
        match self {
            Digest::Sha256 => merkle::leaf::<Sha256>(entry),
            Digest::Sm3 => merkle::leaf::<Sm3>(entry),
        }
    }

    fn node(self, left: &Hash, right: &Hash) -> Hash {
        match self {
            Digest::Sha256 => merkle::node::<Sha256>(left, right),
            Digest::Sm3 => merkle::node::<Sm3>(left, right),
        }
    }
}

pub fn digest_of(sm3: bool) -> Digest {
    if sm3 { Digest::Sm3 } else { Digest::Sha256 }
}

/// The leaf hashes of entries, 32 bytes each.
#[pyfunction]
pub fn leaves<'py>(py: Python<'py>, sm3: bool, entries: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyBytes>> {
    let digest = digest_of(sm3);
    let mut out = Vec::with_capacity(entries.len() * 32);
    for entry in entries {
        out.extend(digest.leaf(entry.cast::<PyBytes>()?.as_bytes()));
    }
    Ok(PyBytes::new(py, &out))
}

/// The hashes of the nodes over each two of `hashes`, 32 bytes each; one without another is left out.
#[pyfunction]
pub fn nodes<'py>(py: Python<'py>, sm3: bool, hashes: &[u8]) -> Bound<'py, PyBytes> {
    let (pairs, _) = hashes.as_chunks::<32>().0.as_chunks::<2>();
    let found: Vec<Hash> = pairs.iter().map(|[left, right]| digest_of(sm3).node(left, right)).collect();
    PyBytes::new(py, found.as_flattened())
}

/// A bundle: each entry behind its length in two bytes; None where one is too long.
#[pyfunction]
pub fn joined<'py>(py: Python<'py>, entries: &Bound<'py, PyList>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let mut out = Vec::with_capacity(entries.len() * 256);
    for entry in entries {
        let entry = entry.cast::<PyBytes>()?.as_bytes();
        let Ok(length) = u16::try_from(entry.len()) else { return Ok(None) };
        out.extend(length.to_be_bytes());
        out.extend(entry);
    }
    Ok(Some(PyBytes::new(py, &out)))
}

/// The entries of a bundle; None where the last is cut off.
#[pyfunction]
pub fn split<'py>(py: Python<'py>, bundle: &[u8]) -> PyResult<Option<Bound<'py, PyList>>> {
    let (mut entries, mut rest) = (Vec::with_capacity(256), bundle);
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let Some((entry, behind)) = behind.split_at_checked(u16::from_be_bytes(*length).into()) else { break };
        entries.push(PyBytes::new(py, entry));
        rest = behind;
    }
    if rest.is_empty() { PyList::new(py, entries).map(Some) } else { Ok(None) }
}

/// Whether each entry gives itself its number, in the shortest form; `first` is the first one's.
#[pyfunction]
pub fn numbered(entries: &Bound<'_, PyList>, first: i64) -> PyResult<bool> {
    for (number, entry) in (first..).zip(entries) {
        let mut cursor = Cursor::new(entry.cast::<PyBytes>()?.as_bytes(), crate::cut::HEAD);
        if cursor.long().ok() != Some(number) {
            return Ok(false);
        }
    }
    Ok(true)
}
