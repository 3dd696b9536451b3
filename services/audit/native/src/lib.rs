//! The native engine of the audit: entries, leaves, tiles and bundles, a whole batch at a time; and signatures of SM2.
//!
//! What they mean is written in `domain/entry.py` and `verifier.py`, which this equals byte for byte; what this does not
//! know or finds amiss, these do.

mod cut;
mod files;
mod hashing;
mod sealing;
mod signing;

use pyo3::prelude::*;

#[pymodule]
fn tongshu_sealing(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<sealing::Sealing>()?;
    module.add_class::<signing::Sm2>()?;
    module.add_function(wrap_pyfunction!(sealing::messages, module)?)?;
    module.add_function(wrap_pyfunction!(hashing::leaves, module)?)?;
    module.add_function(wrap_pyfunction!(hashing::nodes, module)?)?;
    module.add_function(wrap_pyfunction!(hashing::joined, module)?)?;
    module.add_function(wrap_pyfunction!(hashing::split, module)?)?;
    module.add_function(wrap_pyfunction!(hashing::numbered, module)?)?;
    module.add_function(wrap_pyfunction!(files::write, module)?)?;
    module.add_function(wrap_pyfunction!(files::sync, module)?)
}
