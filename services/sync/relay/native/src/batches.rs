//! Record batches (Kafka's message format 2): read into slices of whole records, and built.

use crate::connection::{Error, Result, garbled};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::compression::{Decompressor, Gzip, Snappy, Zstd};
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{Read as _, Write};
use tongshu_core::avro::{Cursor, Read, put_bytes, put_long};

const HEAD: usize = 61;
/// From here on the checksum counts.
const CHECKED: usize = 21;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const LZ4: i16 = 3;
/// So much room at least a block of LZ4 is unpacked into, so that it need not be put down in between.
const LEAST_ROOM: usize = 1 << 18;
/// A batch whose records would be longer, not packed, is followed by another one.
const MOST_BYTES: usize = 900_000;

thread_local! {
    /// Where batches are unpacked, as long as the longest: what is made anew has to be made zero first, which costs as much
    /// as to unpack.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where a record lies among the bytes of its slice.
#[derive(Clone, Copy)]
pub struct Entry {
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    key: Option<(u32, u32)>,
    value: Option<(u32, u32)>,
    headers: u32,
}

/// A header of a record.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// Records of one partition, in their order, and the bytes in which they lie.
pub struct Slice {
    bytes: Bytes,
    pub entries: Vec<Entry>,
    /// The offset after the last one, whether it is a record that counts or not.
    pub end: i64,
}

impl Slice {
    /// How much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    pub fn key(&self, entry: &Entry) -> Option<&[u8]> {
        entry.key.map(|(start, end)| &self.bytes[start as usize..end as usize])
    }

    pub fn value(&self, entry: &Entry) -> Option<&[u8]> {
        entry.value.map(|(start, end)| &self.bytes[start as usize..end as usize])
    }

    pub fn headers(&self, entry: &Entry) -> Vec<Header<'_>> {
        let mut rest = Cursor::new(&self.bytes, entry.headers as usize);
        let mut found = Vec::new();
        let count = rest.long().unwrap_or(0);
        for _ in 0..count {
            let (Ok(Some(name)), Ok(value)) = (piece(&mut rest), piece(&mut rest)) else {
                break;
            };
            let bytes = |(start, end): (u32, u32)| &self.bytes[start as usize..end as usize];
            found.push((bytes(name), value.map(bytes)));
        }
        found
    }
}

/// Transactions that came to nothing, as a broker names them beside what it hands out: producer, first offset.
pub struct Aborted {
    /// The latest first.
    to_come: Vec<(i64, i64)>,
    under_way: HashSet<i64>,
}

impl Aborted {
    pub fn of(mut transactions: Vec<(i64, i64)>) -> Self {
        transactions.sort_by_key(|(_, first)| std::cmp::Reverse(*first));
        Self { to_come: transactions, under_way: HashSet::new() }
    }

    fn holds(&mut self, producer: i64, last_offset: i64) -> bool {
        while let Some((other, _)) = self.to_come.pop_if(|(_, first)| *first <= last_offset) {
            self.under_way.insert(other);
        }
        self.under_way.contains(&producer)
    }
}

/// Read what a broker has handed out, from offset `from` on: a slice of each batch that has records.
///
/// Markers of transactions are passed over, and so is what `aborted` holds. A batch that is cut off at the end is the
/// next request's.
pub fn read(mut bytes: Bytes, from: i64, mut aborted: Aborted) -> Result<(Vec<Slice>, i64)> {
    let (mut slices, mut next) = (Vec::new(), from);
    while bytes.len() >= HEAD {
        let length = usize::try_from(int(&bytes, 8)).map_or(0, |length| length.saturating_add(12));
        if length < HEAD {
            return Err(garbled("a record batch"));
        }
        if bytes.len() < length {
            break;
        }
        let batch = bytes.split_to(length);
        let (base, attributes, last) = (long(&batch, 0), short(&batch, 21), int(&batch, 23));
        if batch[16] != 2 || crc32c::crc32c(&batch[CHECKED..]) != int(&batch, 17) as u32 {
            return Err(garbled(format!("the record batch at {base}: its format or its checksum")));
        }
        let end = base + i64::from(last) + 1;
        let producer = long(&batch, 43);
        let is_aborted = attributes & TRANSACTIONAL != 0 && aborted.holds(producer, end - 1);
        next = next.max(end);
        if attributes & CONTROL != 0 {
            aborted.under_way.remove(&producer);
        } else if !is_aborted && end > from {
            let (first, latest) = (long(&batch, 27), long(&batch, 35));
            let count = int(&batch, 57).max(0) as usize;
            let bytes = unpacked(attributes & 7, batch.slice(HEAD..))?;
            let stamped = (attributes & LOG_APPEND_TIME != 0).then_some(latest);
            let entries = entries(&bytes, count, base, first, stamped, from)?;
            slices.push(Slice { bytes, entries, end });
        }
    }
    Ok((slices, next))
}

fn entries(bytes: &[u8], count: usize, base: i64, first: i64, stamped: Option<i64>, from: i64) -> Result<Vec<Entry>> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(garbled(format!("a batch of {} bytes", bytes.len())));
    }
    let mut found = Vec::with_capacity(count.min(bytes.len() / 7));
    let mut rest = Cursor::new(bytes, 0);
    for _ in 0..count {
        let length = rest.bytes().map_err(|_| garbled("a record's length"))?.len();
        let mut record = Cursor::new(&bytes[..rest.at], rest.at - length);
        let one = entry(&mut record, base, first, stamped).map_err(|_| garbled(record.why.what))?;
        if one.offset >= from {
            found.push(one);
        }
    }
    Ok(found)
}

#[inline]
fn entry(record: &mut Cursor<'_>, base: i64, first: i64, stamped: Option<i64>) -> Read<Entry> {
    record.byte()?; // attributes
    let (later, beyond) = (record.long()?, record.long()?);
    let (key, value) = (piece(record)?, piece(record)?);
    let timestamp = stamped.unwrap_or(first + later);
    Ok(Entry { offset: base + beyond, timestamp, key, value, headers: record.at as u32 })
}

fn unpacked(codec: i16, mut packed: Bytes) -> Result<Bytes> {
    let whole = |bytes: &mut Bytes| Ok(bytes.clone());
    match codec {
        0 => Ok(packed),
        1 => Gzip::decompress(&mut packed, whole).map_err(garbled),
        2 => Snappy::decompress(&mut packed, whole).map_err(garbled),
        LZ4 => SCRATCH.with_borrow_mut(|scratch| {
            let mut decoder = lz4::Decoder::new(&packed[..])?;
            let mut end = 0;
            loop {
                if scratch.len() < end + LEAST_ROOM {
                    scratch.resize((end + LEAST_ROOM).next_power_of_two(), 0);
                }
                match decoder.read(&mut scratch[end..])? {
                    0 => return Ok(Bytes::copy_from_slice(&scratch[..end])),
                    read => end += read,
                }
            }
        }),
        4 => Zstd::decompress(&mut packed, whole).map_err(garbled),
        other => Err(garbled(format!("a batch packed in the manner {other}"))),
    }
}

/// Where a piece of bytes lies that its length precedes; None where there is none.
#[inline]
fn piece(record: &mut Cursor<'_>) -> Read<Option<(u32, u32)>> {
    let Ok(length) = usize::try_from(record.long()?) else {
        return Ok(None);
    };
    let start = record.at;
    record.take(length)?;
    Ok(Some((start as u32, record.at as u32)))
}

fn short(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("2 bytes"))
}

fn int(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn long(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

/// A batch that is being filled.
pub struct Batch {
    records: Vec<u8>,
    pub count: i32,
}

impl Batch {
    /// One whose records lie in memory that another has used.
    pub fn within(mut room: Vec<u8>) -> Self {
        room.clear();
        Self { records: room, count: 0 }
    }

    /// The memory of its records.
    pub fn into_room(self) -> Vec<u8> {
        self.records
    }

    /// Whether a record of so many bytes had better begin another one.
    pub fn is_full_for(&self, bytes: usize) -> bool {
        self.count > 0 && self.records.len() + bytes > MOST_BYTES
    }

    /// How many bytes its records are, not packed.
    pub fn size(&self) -> usize {
        self.records.len()
    }

    pub fn add(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) {
        let piece = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| size_of_long(bytes.len() as i64) + bytes.len());
        let mut length = 2 + size_of_long(self.count.into()) + piece(key) + piece(value);
        length += size_of_long(headers.len() as i64);
        length += headers.iter().map(|(name, value)| piece(Some(name)) + piece(*value)).sum::<usize>();
        let out = &mut self.records;
        out.reserve(length + 5);
        put_long(out, length as i64);
        out.extend_from_slice(&[0, 0]); // attributes, and as late as the first
        put_long(out, self.count.into());
        put_piece(out, key);
        put_piece(out, value);
        put_long(out, headers.len() as i64);
        for (name, value) in headers {
            put_piece(out, Some(name));
            put_piece(out, *value);
        }
        self.count += 1;
    }

    /// Keys and values of its records, which all have a key and no headers yet.
    pub fn records(&self) -> Vec<(&[u8], Option<&[u8]>)> {
        let bytes = &self.records;
        let found = entries(bytes, self.count as usize, 0, 0, None, 0).expect("what was written here can be read");
        let piece = |(start, end): (u32, u32)| &bytes[start as usize..end as usize];
        found.iter().map(|one| (one.key.map(piece).unwrap_or_default(), one.value.map(piece))).collect()
    }

    /// The batch as a broker takes it, written in a transaction of `producer` (id, epoch) from `sequence` on.
    pub fn built(&self, producer: (i64, i16), sequence: i32, timestamp: i64) -> Result<Bytes> {
        let packed = packed(&self.records)?;
        let is_packed = packed.len() < self.records.len();
        let records = if is_packed { &packed } else { &self.records };
        let mut out = BytesMut::with_capacity(HEAD + records.len());
        out.put_i64(0);
        out.put_i32((HEAD - 12 + records.len()) as i32);
        out.put_i32(-1);
        out.put_i8(2);
        out.put_u32(0);
        out.put_i16(TRANSACTIONAL | if is_packed { LZ4 } else { 0 });
        out.put_i32(self.count - 1);
        out.put_i64(timestamp);
        out.put_i64(timestamp);
        out.put_i64(producer.0);
        out.put_i16(producer.1);
        out.put_i32(sequence);
        out.put_i32(self.count);
        out.extend_from_slice(records);
        let checksum = crc32c::crc32c(&out[CHECKED..]);
        out[17..21].copy_from_slice(&checksum.to_be_bytes());
        Ok(out.freeze())
    }
}

fn packed(records: &[u8]) -> Result<Vec<u8>> {
    // Kafka's readers know blocks that stand for themselves only
    let mut encoder = lz4::EncoderBuilder::new()
        .block_mode(lz4::BlockMode::Independent)
        .level(0)
        .checksum(lz4::ContentChecksum::NoChecksum)
        .build(Vec::with_capacity(records.len() / 2 + 64))?;
    encoder.write_all(records)?;
    let (packed, done) = encoder.finish();
    done.map(|()| packed).map_err(Error::from)
}

fn size_of_long(value: i64) -> usize {
    let bits = 64 - (((value << 1) ^ (value >> 63)) as u64 | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn put_piece(out: &mut Vec<u8>, piece: Option<&[u8]>) {
    match piece {
        Some(bytes) => put_bytes(out, bytes),
        None => put_long(out, -1),
    }
}
