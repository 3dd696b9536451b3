//! Entries of a batch of records. What an entry is, is `Sealer`'s of `domain/entry.py`: a record in which anything is amiss
//! is its to seal.

use crate::cut::{self, Cut};
use crate::hashing::{Digest, digest_of, leaves_of};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use std::collections::HashMap;
use tongshu_core::avro::{put_bytes, put_long};
use tongshu_core::merkle::Digest as _;

/// A text that is empty, and no records.
const NOTHING: &[u8] = b"\x00";
/// Both digests have 32 bytes; Avro writes their length so.
const DIGEST_LENGTH: u8 = 0x40;
/// How an entry's type says that its step did not go well; the first that fits counts.
const OUTCOMES: [&str; 4] = ["denied", "refused", "quarantined", "failed"];
/// A bundle tells an entry's length in two bytes; this is for what stands behind the number.
const MOST_BYTES: usize = 65_535 - 15;

/// A topic whose records are sealed, and by schema how they are cut; None: the reference does it.
struct Topic {
    name: Vec<u8>,
    cuts: HashMap<u32, Option<Cut>>,
}

/// Seals batches. `learn(topic, schema id)` says what to cut as JSON, or None; `reference(name)` gives an actor's reference;
/// `other(message)` makes what this does not make: all of an entry but its head and number.
#[pyclass]
pub struct Sealing {
    digest: Digest,
    learn: Py<PyAny>,
    reference: Py<PyAny>,
    other: Py<PyAny>,
    topics: HashMap<String, Topic>,
    outcomes: HashMap<Vec<u8>, &'static str>,
    /// An actor's name and reference, both as Avro has them: of one batch, for somebody may be erased before the next.
    actors: HashMap<Vec<u8>, Vec<u8>>,
    ends: Vec<usize>,
    /// What stands for the record whose digest is told: the room for it.
    record: Vec<u8>,
}

/// Where a record stands.
struct Place {
    partition: i32,
    offset: i64,
}

/// Entries, their leaf hashes (32 bytes each), and of each topic and partition the offset after its last record.
type Sealed<'py> = (Bound<'py, PyList>, Bound<'py, PyBytes>, Bound<'py, PyDict>);

#[pymethods]
impl Sealing {
    #[new]
    fn new(sm3: bool, learn: Py<PyAny>, reference: Py<PyAny>, other: Py<PyAny>) -> Self {
        Self {
            digest: digest_of(sm3),
            learn,
            reference,
            other,
            topics: HashMap::new(),
            outcomes: HashMap::new(),
            actors: HashMap::new(),
            ends: Vec::new(),
            record: Vec::new(),
        }
    }

    /// Seal `batch`, the first of it as number `first`; `head` is what the wire format begins an entry with, `recorded` the
    /// moment as Avro has it.
    fn run<'py>(
        &mut self,
        py: Python<'py>,
        batch: &Bound<'py, PyList>,
        head: &[u8],
        first: i64,
        recorded: &[u8],
    ) -> PyResult<Sealed<'py>> {
        self.actors.clear();
        let mut entries = Vec::with_capacity(batch.len());
        let mut ends: Vec<(String, i32, i64)> = Vec::new();
        let mut out = Vec::with_capacity(1_024);
        for (number, message) in (first..).zip(batch) {
            let topic = message.call_method0(intern!(py, "topic"))?.cast_into::<PyString>()?;
            let topic = topic.to_str()?;
            let place = Place {
                partition: message.call_method0(intern!(py, "partition"))?.extract()?,
                offset: message.call_method0(intern!(py, "offset"))?.extract()?,
            };
            out.clear();
            out.extend(head);
            put_long(&mut out, number);
            let begun = out.len();
            if !self.put_body(py, &message, topic, &place, recorded, &mut out)? || out.len() - begun > MOST_BYTES {
                out.truncate(begun);
                out.extend(self.other.bind(py).call1((&message,))?.cast::<PyBytes>()?.as_bytes());
            }
            entries.push(PyBytes::new(py, &out));
            match ends.iter_mut().rev().find(|(known, at, _)| *at == place.partition && known == topic) {
                Some((_, _, end)) => *end = place.offset + 1,
                None => ends.push((topic.to_owned(), place.partition, place.offset + 1)),
            }
        }
        let told = PyDict::new(py);
        for (topic, partition, end) in ends {
            told.set_item((topic, partition), end)?;
        }
        let leaves = leaves_of(self.digest, entries.iter().map(|one| one.as_bytes()));
        Ok((PyList::new(py, entries)?, PyBytes::new(py, leaves.as_flattened()), told))
    }
}

impl Sealing {
    /// Add all of an entry behind its number to `out`; whether this could be done here.
    fn put_body(
        &mut self,
        py: Python<'_>,
        message: &Bound<'_, PyAny>,
        topic: &str,
        place: &Place,
        recorded: &[u8],
        out: &mut Vec<u8>,
    ) -> PyResult<bool> {
        let (value, key) = (message.call_method0(intern!(py, "value"))?, message.call_method0(intern!(py, "key"))?);
        let Ok(value) = value.cast::<PyBytes>() else { return Ok(false) };
        let key = if key.is_none() { &[] } else { key.cast::<PyBytes>()?.as_bytes() };
        let value = value.as_bytes();
        let Some((&[0, a, b, c, d], _)) = value.split_first_chunk::<{ cut::HEAD }>() else { return Ok(false) };
        let Some(trace) = Trace::of(&message.call_method0(intern!(py, "headers"))?)? else { return Ok(false) };
        let schema_id = u32::from_be_bytes([a, b, c, d]);
        if !self.knows(py, topic, schema_id)? {
            return Ok(false);
        }
        let Self { digest, reference, topics, outcomes, actors, ends, record, .. } = self;
        let known = &topics[topic];
        let Some(cut) = &known.cuts[&schema_id] else { return Ok(false) };
        let Some([kind, subject, thread, occurred_at, actor, department, records]) = cut.parts(value, ends) else {
            return Ok(false);
        };
        let Some(outcome) = outcome_of(outcomes, kind) else { return Ok(false) };
        if !actors.contains_key(actor) {
            let Some(name) = cut::text(actor) else { return Ok(false) };
            let mut made = Vec::new();
            if actor == NOTHING {
                made.extend(NOTHING);
            } else {
                put_bytes(&mut made, reference.bind(py).call1((name,))?.cast::<PyString>()?.to_str()?.as_bytes());
            }
            actors.insert(actor.to_vec(), made);
        }
        out.extend(kind);
        put_bytes(out, &known.name);
        put_long(out, place.partition.into());
        put_long(out, place.offset);
        for part in [subject, thread, occurred_at, recorded] {
            out.extend(part);
        }
        out.push(DIGEST_LENGTH);
        record.clear();
        for part in [&(key.len() as u32).to_be_bytes(), key, &[1], value] {
            record.extend_from_slice(part);
        }
        out.extend(digest.of(record));
        out.extend(&actors[actor]);
        out.extend(department);
        put_bytes(out, trace.0.as_bytes());
        put_bytes(out, outcome.as_bytes());
        out.extend(records);
        Ok(true)
    }

    /// Whether how to cut records of this topic and schema is known by now, be it that only the reference can.
    fn knows(&mut self, py: Python<'_>, topic: &str, schema_id: u32) -> PyResult<bool> {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), Topic { name: topic.as_bytes().to_vec(), cuts: HashMap::new() });
        }
        let cuts = &mut self.topics.get_mut(topic).expect("it was put there").cuts;
        if !cuts.contains_key(&schema_id) {
            let told = self.learn.bind(py).call1((topic, schema_id))?;
            if told.is_none() {
                return Ok(false);
            }
            let json = serde_json::from_str(told.cast::<PyString>()?.to_str()?);
            cuts.insert(schema_id, json.ok().and_then(|json| Cut::of(&json).ok()));
        }
        Ok(true)
    }
}

/// A trace id that came with a record; empty where none did.
struct Trace(String);

impl Trace {
    /// From a message's headers; None where the reference must look at them.
    fn of(headers: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let mut found = None;
        if let Ok(headers) = headers.cast::<PyList>() {
            for header in headers {
                let (name, value) = header.cast::<PyTuple>()?.extract::<(Bound<'_, PyString>, Bound<'_, PyAny>)>()?;
                if name.to_str()? == "traceparent" {
                    found = Some(value);
                }
            }
        }
        let Some(value) = found else { return Ok(Some(Self(String::new()))) };
        let Ok(value) = value.cast::<PyBytes>() else { return Ok(Some(Self(String::new()))) };
        let Ok(value) = std::str::from_utf8(value.as_bytes()) else { return Ok(None) };
        let parts: Vec<&str> = value.split('-').collect();
        let is_one = parts.len() == 4 && parts[1].chars().count() == 32;
        Ok(Some(Self(if is_one { parts[1].to_owned() } else { String::new() })))
    }
}

/// How a step of the type `kind` (as Avro has it) ended.
fn outcome_of(known: &mut HashMap<Vec<u8>, &'static str>, kind: &[u8]) -> Option<&'static str> {
    if let Some(found) = known.get(kind) {
        return Some(found);
    }
    let told = cut::text(kind)?;
    let found = OUTCOMES.into_iter().find(|word| told.contains(word)).unwrap_or("done");
    // types are few; should they not be, then they are not remembered
    if known.len() < 1_024 {
        known.insert(kind.to_vec(), found);
    }
    Some(found)
}

/// Entries as `Producer.produce_batch` takes them, the first of them number `first`.
#[pyfunction]
pub fn messages<'py>(py: Python<'py>, entries: &Bound<'py, PyList>, first: i64) -> PyResult<Bound<'py, PyList>> {
    let mut made = Vec::with_capacity(entries.len());
    for (number, entry) in (first..).zip(entries) {
        let message = PyDict::new(py);
        message.set_item(intern!(py, "key"), PyBytes::new(py, number.to_string().as_bytes()))?;
        message.set_item(intern!(py, "value"), entry)?;
        made.push(message);
    }
    PyList::new(py, made)
}
