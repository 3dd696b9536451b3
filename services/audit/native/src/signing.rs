//! Signatures of SM2 (GB/T 32918.2), which `cryptography` does not make.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sm2::dsa::signature::Signer;
use sm2::dsa::{Signature, SigningKey};

/// The identifier that GM/T 0009 gives to who has none.
const SIGNER: &str = "1234567812345678";

/// A private key; `secret` is its number, 32 bytes.
#[pyclass(frozen)]
pub struct Sm2 {
    key: SigningKey,
}

#[pymethods]
impl Sm2 {
    #[new]
    fn new(secret: &[u8]) -> PyResult<Self> {
        let key = SigningKey::from_slice(SIGNER, secret);
        key.map(|key| Self { key }).map_err(|_| PyValueError::new_err("this is no private key"))
    }

    /// The public key: 0x04, and both coordinates.
    fn public<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.key.verifying_key().to_sec1_bytes())
    }

    /// The signature of `message`: r and s, 32 bytes each.
    fn sign<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let made: Signature = self.key.try_sign(message).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(PyBytes::new(py, made.to_bytes().as_slice()))
    }
}
