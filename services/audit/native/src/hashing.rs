//! The digests that a log may be kept in, and bundles of entries; as `verifier.py` has them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use sm3::{Digest as _, Sm3};
use tongshu_core::avro::Cursor;
use tongshu_core::merkle::{self, Digest as _, Hash, LEAF};
use tongshu_core::sha256::Sha256;

#[derive(Debug, Clone, Copy)]
pub enum Digest {
    Sha256,
    Sm3,
}

impl merkle::Digest for Digest {
    fn of(self, message: &[u8]) -> Hash {
        match self {
            Self::Sha256 => Sha256.of(message),
            Self::Sm3 => Sm3::digest(message).into(),
        }
    }

    fn of_two(self, one: &[u8], other: &[u8]) -> [Hash; 2] {
        match self {
            Self::Sha256 => Sha256.of_two(one, other),
            Self::Sm3 => [self.of(one), self.of(other)],
        }
    }
}

pub fn digest_of(sm3: bool) -> Digest {
    if sm3 { Digest::Sm3 } else { Digest::Sha256 }
}

/// The leaf hashes of entries.
pub fn leaves_of<'a>(digest: Digest, entries: impl Iterator<Item = &'a [u8]>) -> Vec<Hash> {
    let (mut made, mut messages, mut waiting) = (Vec::new(), [vec![LEAF], vec![LEAF]], 0);
    for entry in entries {
        messages[waiting].truncate(1);
        messages[waiting].extend_from_slice(entry);
        waiting += 1;
        if waiting == 2 {
            made.extend(digest.of_two(&messages[0], &messages[1]));
            waiting = 0;
        }
    }
    if waiting == 1 {
        made.push(digest.of(&messages[0]));
    }
    made
}

/// The leaf hashes of entries, 32 bytes each.
#[pyfunction]
pub fn leaves<'py>(py: Python<'py>, sm3: bool, entries: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyBytes>> {
    let entries = entries.iter().map(|entry| Ok(entry.cast_into::<PyBytes>()?)).collect::<PyResult<Vec<_>>>()?;
    let made = leaves_of(digest_of(sm3), entries.iter().map(|entry| entry.as_bytes()));
    Ok(PyBytes::new(py, made.as_flattened()))
}

/// The hashes of the nodes over each two of `hashes`, 32 bytes each; one without another is left out.
#[pyfunction]
pub fn nodes<'py>(py: Python<'py>, sm3: bool, hashes: &[u8]) -> Bound<'py, PyBytes> {
    let found = merkle::nodes(digest_of(sm3), hashes.as_chunks::<32>().0);
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
