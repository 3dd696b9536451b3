//! The native engine of the projection: bytes in, bytes out, a whole run of changes at a time and without Python's lock.
//!
//! What projection means is written in `reference.py`, which this equals byte for byte; what this does not know or finds
//! amiss, the reference does.

mod filter;
mod judge;
mod mask;
mod plan;
mod project;
mod repeats;
mod value;
mod walk;
mod wire;

use judge::Rules;
use plan::Plan;
use project::{Asked, Outcome, Partition, Room, Run};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use repeats::{Mark, Ops};
use std::sync::Arc;
use tongshu_core::merkle;
use tongshu_core::sha256::Sha256;
use wire::{Changes, Column, Fetched, Fetcher, Gathered, Records, Writer};

create_exception!(tongshu_projection, Unsupported, PyException, "A plan that this engine does not know how to run.");

/// A mark as Python has it.
type MarkParts = (i64, i64, String, i64);

fn mark_of((committed, lsn, ops, until_us): MarkParts) -> Mark {
    Mark { committed, lsn, ops: Ops::of(&ops), until_us }
}

fn parts_of(mark: &Mark) -> MarkParts {
    (mark.committed, mark.lsn, mark.ops.text(), mark.until_us)
}

/// A writer's schema and the grants that are served from its changes; made from JSON (see `native.py`).
#[pyclass(frozen)]
struct Projection {
    plan: Plan,
    room: Arc<Room>,
}

/// A contract's rules for changes of a writer's schema; made from JSON (see `native.py`).
#[pyclass(frozen)]
struct Judge {
    plan: Plan,
    rules: Rules,
}

/// What a run has made, grant by grant. Its memory goes back to the projection when nobody looks at it any more.
#[pyclass(frozen)]
struct Outcomes {
    run: Run,
    room: Arc<Room>,
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        self.room.give_back(std::mem::take(&mut self.run.outcomes));
    }
}

#[pymethods]
impl Projection {
    #[new]
    fn new(plan: &str) -> PyResult<Self> {
        let json = serde_json::from_str(plan).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { plan: Plan::of(&json).map_err(Unsupported::new_err)?, room: Arc::default() })
    }

    /// Project `changes` (wire format, all of this schema) from number `start` on, up to `until` (left out).
    #[pyo3(signature = (changes, start, mark, now_us, catching_up, *, leaves = true, until = None))]
    #[allow(clippy::too_many_arguments)] // as Python calls it
    fn run(
        &self,
        py: Python<'_>,
        changes: Changes<'_>,
        start: usize,
        mark: Option<MarkParts>,
        now_us: i64,
        catching_up: bool,
        leaves: bool,
        until: Option<usize>,
    ) -> Outcomes {
        let asked = Asked { start, mark: mark.map(mark_of), now_us, catching_up, leaves };
        let bytes = changes.bytes(until);
        let run = py.detach(|| project::run(&self.plan, &bytes, asked, self.room.take()));
        Outcomes { run, room: self.room.clone() }
    }
}

#[pymethods]
impl Judge {
    #[new]
    fn new(plan: &str) -> PyResult<Self> {
        let json: serde_json::Value =
            serde_json::from_str(plan).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let plan = Plan::of(&json).map_err(Unsupported::new_err)?;
        let rules = Rules::of(&json, &plan).map_err(Unsupported::new_err)?;
        Ok(Self { plan, rules })
    }

    /// Judge `changes` (wire format) from number `start` on, up to `until` (left out): the number of the first that needs
    /// a second look, how many rows were judged before it, and the mark there. Without a mark as a lane does.
    #[pyo3(signature = (changes, start, mark, today, *, until = None))]
    fn run(
        &self,
        py: Python<'_>,
        changes: Changes<'_>,
        start: usize,
        mark: Option<MarkParts>,
        today: i64,
        until: Option<usize>,
    ) -> (usize, u64, Option<MarkParts>) {
        let mark = mark.map(mark_of);
        let bytes = changes.bytes(until);
        let judged = py.detach(|| judge::judge(&self.plan, &self.rules, &bytes, judge::Asked { start, mark, today }));
        (judged.stopped_at, judged.rows, judged.mark.as_ref().map(parts_of))
    }
}

#[pymethods]
impl Outcomes {
    /// The change before which the run stopped; the number of changes when it did not.
    #[getter]
    fn stopped_at(&self) -> usize {
        self.run.stopped_at
    }

    /// Why it stopped: at which byte of the change, and in words.
    #[getter]
    fn why(&self) -> Option<(usize, &'static str)> {
        self.run.why.map(|broken| (broken.at, broken.what))
    }

    #[getter]
    fn mark(&self) -> Option<MarkParts> {
        self.run.mark.as_ref().map(parts_of)
    }

    /// Whether the run has made anything for a grant.
    fn delivers(&self, grant: usize) -> PyResult<bool> {
        Ok(self.outcome(grant)?.changes > 0)
    }

    /// Of a grant: its creates, updates, deletes, reads and tombstones; the number of changes they came from, the first
    /// and the last of these; the least and the most latency in microseconds (-1: none); the bytes of its keys and values.
    fn figures(&self, grant: usize) -> PyResult<([u64; 5], u64, u32, u32, i64, i64, usize)> {
        let outcome = self.outcome(grant)?;
        let (least, most) = outcome.latency.unwrap_or((-1, -1));
        let records = outcome.partitions.iter().flat_map(|part| &part.records);
        let bytes = records.map(|one| one.key.1 - one.key.0 + one.value.map_or(0, |(start, end)| end - start)).sum();
        Ok((outcome.counts, outcome.changes, outcome.first, outcome.last, least, most, bytes))
    }

    /// How many records a partition of a grant's topic gets.
    fn count(&self, grant: usize, partition: usize) -> PyResult<usize> {
        Ok(self.partition(grant, partition)?.records.len())
    }

    /// These records, as `Producer.produce_batch` takes them.
    fn messages<'py>(&self, py: Python<'py>, grant: usize, partition: usize) -> PyResult<Bound<'py, PyList>> {
        let messages = PyList::empty(py);
        Gathered::Messages(messages.clone()).add(py, self.partition(grant, partition)?)?;
        Ok(messages)
    }

    /// Add these records to `gathered`, which is of either kind.
    fn gather(&self, py: Python<'_>, grant: usize, partition: usize, mut gathered: Gathered<'_>) -> PyResult<()> {
        gathered.add(py, self.partition(grant, partition)?)
    }

    /// The leaf hashes of these records, 32 bytes each.
    fn leaves<'py>(&self, py: Python<'py>, grant: usize, partition: usize) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.partition(grant, partition)?.leaves.as_flattened()))
    }
}

impl Outcomes {
    fn outcome(&self, grant: usize) -> PyResult<&Outcome> {
        self.run.outcomes.get(grant).ok_or_else(no_such)
    }

    fn partition(&self, grant: usize, partition: usize) -> PyResult<&Partition> {
        self.outcome(grant)?.partitions.get(partition).ok_or_else(no_such)
    }
}

fn no_such() -> PyErr {
    PyIndexError::new_err("no such grant or partition")
}

/// The root of the RFC 6962 tree over leaf hashes that lie one after another.
#[pyfunction]
fn root<'py>(py: Python<'py>, leaves: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let (hashes, rest) = leaves.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(PyValueError::new_err("a leaf hash has 32 bytes"));
    }
    Ok(PyBytes::new(py, &merkle::root(Sha256, hashes)))
}

#[pymodule]
fn tongshu_projection(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("Unsupported", module.py().get_type::<Unsupported>())?;
    module.add_class::<Projection>()?;
    module.add_class::<Judge>()?;
    module.add_class::<Outcomes>()?;
    module.add_class::<Column>()?;
    module.add_class::<Fetched>()?;
    module.add_class::<Fetcher>()?;
    module.add_class::<Records>()?;
    module.add_class::<Writer>()?;
    module.add_function(wrap_pyfunction!(root, module)?)
}
