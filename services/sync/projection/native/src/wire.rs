//! Kafka's bytes for Python: what was read of a partition, what is to be written to one, and who reads and writes it.

use crate::project::Partition as Made;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tongshu_wire::{Entry, Error, Group, Isolation, Login, Partition, Slice, Writer as Wire};

/// librdkafka's code for a connection that was lost.
const TRANSPORT: i16 = -195;

/// As Python's client says it.
fn raised(py: Python<'_>, error: Error) -> PyErr {
    let (code, words) = match error {
        Error::Said(code, words) => (code, words),
        Error::Lost(words) => (TRANSPORT, words),
    };
    let made = py.import(intern!(py, "confluent_kafka")).and_then(|module| {
        let error = module.getattr(intern!(py, "KafkaError"))?.call1((code, words))?;
        module.getattr(intern!(py, "KafkaException"))?.call1((error,))
    });
    made.map_or_else(|failure| failure, PyErr::from_value)
}

/// How a client logs in: addresses, user, password, client id, and after how many seconds an answer is no longer awaited.
type LoginParts = (Vec<String>, String, String, String, f64);

fn login_of((bootstrap, user, password, client_id, seconds): LoginParts) -> Login {
    Login { bootstrap, user, password, client_id, timeout: Duration::from_secs_f64(seconds) }
}

/// What was read of a partition before an offset, in its order; tombstones are passed over.
struct Read {
    slices: Vec<Slice>,
    places: Vec<(u32, u32)>,
}

impl Read {
    fn of(slices: Vec<Slice>, before: i64) -> Self {
        let mut places = Vec::with_capacity(slices.iter().map(|one| one.entries.len()).sum());
        for (number, slice) in slices.iter().enumerate() {
            let counts = |(_, entry): &(usize, &Entry)| entry.offset < before && slice.value(entry).is_some();
            let sound = slice.entries.iter().enumerate().filter(counts);
            places.extend(sound.map(|(place, _)| (number as u32, place as u32)));
        }
        Self { slices, places }
    }

    fn at(&self, number: usize) -> Option<(&Slice, &Entry)> {
        let (slice, place) = *self.places.get(number)?;
        let slice = &self.slices[slice as usize];
        Some((slice, &slice.entries[place as usize]))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Offset,
    Key,
    Value,
}

/// One thing of each record that was read: offsets, keys or values.
#[pyclass(frozen, sequence)]
pub struct Column {
    read: Arc<Read>,
    what: What,
}

#[pymethods]
impl Column {
    fn __len__(&self) -> usize {
        self.read.places.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Bound<'py, PyAny>> {
        let (slice, entry) = self.read.at(number).ok_or_else(|| PyIndexError::new_err("no such record"))?;
        let bytes = |found: Option<&[u8]>| found.map(|found| PyBytes::new(py, found)).into_pyobject(py);
        match self.what {
            What::Offset => Ok(entry.offset.into_pyobject(py)?.into_any()),
            What::Key => Ok(bytes(slice.key(entry))?),
            What::Value => Ok(bytes(slice.value(entry))?),
        }
    }
}

/// Changes as they are given to an engine: bytes of Python's, or values that were read here.
#[derive(FromPyObject)]
pub enum Changes<'py> {
    Read(PyRef<'py, Column>),
    Given(Vec<Bound<'py, PyBytes>>),
}

impl Changes<'_> {
    /// Their bytes, up to number `until` (left out) where that is given.
    pub fn bytes(&self, until: Option<usize>) -> Vec<&[u8]> {
        let most = until.unwrap_or(usize::MAX);
        match self {
            Self::Given(given) => given.iter().take(most).map(|one| one.as_bytes()).collect(),
            Self::Read(column) => {
                let value = |(slice, place): &(u32, u32)| {
                    let slice = &column.read.slices[*slice as usize];
                    slice.value(&slice.entries[*place as usize]).unwrap_or_default()
                };
                column.read.places.iter().take(most).map(value).collect()
            }
        }
    }
}

/// What was read of a partition.
#[pyclass(frozen)]
pub struct Fetched {
    read: Arc<Read>,
    /// The offset after the last record, or where reading was to end.
    #[pyo3(get)]
    end: i64,
}

#[pymethods]
impl Fetched {
    #[getter]
    fn offsets(&self) -> Column {
        Column { read: self.read.clone(), what: What::Offset }
    }

    #[getter]
    fn keys(&self) -> Column {
        Column { read: self.read.clone(), what: What::Key }
    }

    #[getter]
    fn values(&self) -> Column {
        Column { read: self.read.clone(), what: What::Value }
    }

    /// Of a record, when it was written, in milliseconds since 1970, and its headers.
    #[allow(clippy::type_complexity)]
    fn about<'py>(
        &self,
        py: Python<'py>,
        number: usize,
    ) -> PyResult<(i64, Vec<(String, Option<Bound<'py, PyBytes>>)>)> {
        let (slice, entry) = self.read.at(number).ok_or_else(|| PyIndexError::new_err("no such record"))?;
        let headers = slice.headers(entry).into_iter().map(|(name, value)| {
            (String::from_utf8_lossy(name).into_owned(), value.map(|value| PyBytes::new(py, value)))
        });
        Ok((entry.timestamp, headers.collect()))
    }
}

/// Reads partitions ahead of whoever takes what was read.
#[pyclass(frozen)]
pub struct Fetcher(tongshu_wire::Fetcher);

#[pymethods]
impl Fetcher {
    /// One that reads nothing yet; `committed`: only what is.
    #[new]
    fn new(login: LoginParts, committed: bool) -> Self {
        let isolation = if committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
        Self(tongshu_wire::Fetcher::new(login_of(login), isolation))
    }

    /// Read from these offsets on; what was read of these partitions is forgotten. Raises KafkaException.
    fn place(&self, py: Python<'_>, at: Vec<(Partition, i64)>) -> PyResult<()> {
        py.detach(|| self.0.place(at)).map_err(|error| raised(py, error))
    }

    /// Read these partitions no more.
    fn leave(&self, py: Python<'_>, partitions: Vec<Partition>) {
        py.detach(|| self.0.leave(&partitions));
    }

    /// Read nothing more.
    fn end(&self) {
        self.0.end();
    }

    /// Before which offset nothing of a partition is left to be read; None where something waits to be taken.
    fn passed(&self, partition: Partition) -> Option<i64> {
        self.0.passed(&partition)
    }

    /// What was read, by partition: about `most` records. The first is waited for, and then for `gather_seconds` at most
    /// that there are so many. What does not stand before an offset is left out, where that is given. Raises KafkaException.
    #[pyo3(signature = (wait_seconds, most, *, gather_seconds=0.0, before=i64::MAX))]
    fn take(
        &self,
        py: Python<'_>,
        wait_seconds: f64,
        most: usize,
        gather_seconds: f64,
        before: i64,
    ) -> PyResult<Vec<(Partition, Fetched)>> {
        let duration = |seconds| {
            Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))
        };
        let (wait, gather) = (duration(wait_seconds)?, duration(gather_seconds)?);
        let taken = py.detach(|| self.0.take(wait, gather, most)).map_err(|error| raised(py, error))?;
        let fetched = |(partition, slices): (Partition, Vec<Slice>)| {
            let end = slices.last().map_or(0, |last| last.end.min(before));
            (partition, Fetched { read: Arc::new(Read::of(slices, before)), end })
        };
        Ok(taken.into_iter().map(fetched).collect())
    }
}

/// Records for a partition, as they are gathered. They may be looked at until they are delivered.
#[pyclass(sequence)]
pub struct Records(tongshu_wire::Records);

#[pymethods]
impl Records {
    /// How many were gathered, be they delivered by now.
    fn __len__(&self) -> usize {
        self.0.count()
    }

    /// A record as `Producer.produce_batch` would take it.
    fn __getitem__<'py>(&self, py: Python<'py>, number: isize) -> PyResult<Bound<'py, PyDict>> {
        let number = if number < 0 { number + self.0.count() as isize } else { number };
        let found = usize::try_from(number).ok().and_then(|number| self.0.from(number).next());
        let (key, value) = found.ok_or_else(|| PyIndexError::new_err("no such record"))?;
        message(py, key, value)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let messages = self.0.from(0).map(|(key, value)| message(py, key, value));
        PyList::new(py, messages.collect::<PyResult<Vec<_>>>()?)?.try_iter()
    }

    fn append(&mut self, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let one = |name| message.get_item(name)?.map_or(Ok(None), |found| found.extract::<Option<Vec<u8>>>());
        let (key, value) = (one("key")?.unwrap_or_default(), one("value")?);
        self.0.add(&key, value.as_deref());
        Ok(())
    }
}

fn message<'py>(py: Python<'py>, key: &[u8], value: Option<&[u8]>) -> PyResult<Bound<'py, PyDict>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "key"), PyBytes::new(py, key))?;
    message.set_item(intern!(py, "value"), value.map(|value| PyBytes::new(py, value)))?;
    Ok(message)
}

/// Where what an engine has made is gathered.
#[derive(FromPyObject)]
pub enum Gathered<'py> {
    Records(PyRefMut<'py, Records>),
    Messages(Bound<'py, PyList>),
}

impl Gathered<'_> {
    /// Add what a partition gets.
    pub fn add(&mut self, py: Python<'_>, made: &Made) -> PyResult<()> {
        match self {
            Self::Records(records) => {
                for one in &made.records {
                    let value = one.value.map(|(start, end)| &made.bytes[start..end]);
                    records.0.add(&made.bytes[one.key.0..one.key.1], value);
                }
            }
            Self::Messages(messages) => {
                for one in &made.records {
                    let value = one.value.map(|(start, end)| &made.bytes[start..end]);
                    messages.append(message(py, &made.bytes[one.key.0..one.key.1], value)?)?;
                }
            }
        }
        Ok(())
    }
}

/// A header's value as Python has it.
#[derive(FromPyObject)]
enum Said {
    Text(String),
    Bytes(Vec<u8>),
}

impl Said {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Writes one transaction after another.
#[pyclass(frozen)]
pub struct Writer(Mutex<Wire>);

impl Writer {
    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().expect("no thread has panicked")
    }
}

#[pymethods]
impl Writer {
    /// A writer of a transactional id, in an epoch of its own. Raises KafkaException.
    #[new]
    fn new(py: Python<'_>, login: LoginParts, transactional_id: &str, timeout_seconds: f64) -> PyResult<Self> {
        let timeout = Duration::from_secs_f64(timeout_seconds);
        let made = py.detach(|| Wire::new(login_of(login), transactional_id, timeout));
        made.map(|writer| Self(Mutex::new(writer))).map_err(|error| raised(py, error))
    }

    /// Begin the next transaction, once the one before is committed.
    fn begin(&self) {
        self.lock().begin();
    }

    /// Add a record; without a `partition`, where its key belongs. Raises KafkaException.
    #[pyo3(signature = (topic, *, key = None, value = None, headers = None, partition = None))]
    fn produce(
        &self,
        py: Python<'_>,
        topic: &str,
        key: Option<Said>,
        value: Option<Said>,
        headers: Option<Vec<(String, Option<Said>)>>,
        partition: Option<i32>,
    ) -> PyResult<()> {
        let headers = headers.unwrap_or_default();
        let headers: Vec<tongshu_wire::Header<'_>> =
            headers.iter().map(|(name, value)| (name.as_bytes(), value.as_ref().map(Said::bytes))).collect();
        let (key, value) = (key.as_ref().map(Said::bytes), value.as_ref().map(Said::bytes));
        // where the key belongs may have to be asked
        py.detach(|| self.lock().add(topic, partition, key, value, &headers)).map_err(|error| raised(py, error))
    }

    /// What gathers records for a partition.
    fn gather(&self) -> Records {
        Records(self.lock().gather())
    }

    /// Add records to a partition; the one of that number is given a header of a name and a value.
    #[pyo3(signature = (topic, partition, records, traced = None))]
    fn deliver(
        &self,
        topic: &str,
        partition: i32,
        mut records: PyRefMut<'_, Records>,
        traced: Option<(usize, String, String)>,
    ) {
        if let Some((number, name, said)) = &traced {
            records.0.put_header(*number, (name.as_bytes(), Some(said.as_bytes())));
        }
        self.lock().deliver(topic, partition, &mut records.0);
    }

    /// Have offsets committed with the transaction, for a member of a group: topic, partition, offset, metadata.
    fn send_offsets(&self, name: String, member: String, generation: i32, offsets: Vec<(String, i32, i64, String)>) {
        let offsets =
            offsets.into_iter().map(|(topic, number, offset, metadata)| ((topic, number), offset, metadata)).collect();
        self.lock().send_offsets(Group { name, member, generation }, offsets);
    }

    /// Wait until everything is acknowledged. Raises KafkaException.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.lock().flush()).map_err(|error| raised(py, error))
    }

    /// The offsets of the first and the last record of a partition; None where it got none, or is not flushed.
    fn ends(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        self.lock().ends(topic, partition)
    }

    /// Commit. Raises KafkaException.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.lock().commit()).map_err(|error| raised(py, error))
    }
}
