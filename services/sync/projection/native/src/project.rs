//! The projection: what each grant of a plan sees of a run of changes. The meaning is `reference.py`'s.
//!
//! A change goes through to all grants or to none: where anything is amiss, the run stops before it and says at which
//! byte, and the reference engine finds out what it is.

use crate::mask::Mask;
use crate::plan::{Column, Grant, Plan, Shown, Step};
use crate::repeats::{Mark, Said};
use crate::value::{Spelling, UNAVAILABLE, Unsure, Value};
use crate::walk::{Found, Slot, walk};
use std::sync::Mutex;
use tongshu_core::avro::{Broken, put_long};
use tongshu_core::merkle::{Digest, Hash, LEAF};
use tongshu_core::sha256::Sha256;
use tongshu_wire::partition_of;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    Create,
    Update,
    Delete,
    Read,
    Tombstone,
}

/// A record for a share topic: where its key and value lie among the bytes, and which change made it.
pub struct Record {
    pub op: Op,
    pub change: u32,
    pub key: (usize, usize),
    /// None: a tombstone.
    pub value: Option<(usize, usize)>,
}

/// What one partition of a grant's topic gets.
#[derive(Default)]
pub struct Partition {
    pub bytes: Vec<u8>,
    pub records: Vec<Record>,
    /// While it is filled, the last record may not have its hash yet: two are hashed together.
    pub leaves: Vec<Hash>,
}

/// What one grant gets of a run.
#[derive(Default)]
pub struct Outcome {
    pub partitions: Vec<Partition>,
    pub counts: [u64; 5],
    /// Changes that led to a delivery: how many, the first, the last.
    pub changes: u64,
    pub first: u32,
    pub last: u32,
    /// Least and most microseconds from the source's commit, of live changes.
    pub latency: Option<(i64, i64)>,
}

pub struct Run {
    pub outcomes: Vec<Outcome>,
    /// The change before which the run stopped, and why; past the last one when it did not.
    pub stopped_at: usize,
    pub why: Option<Broken>,
    pub mark: Option<Mark>,
}

/// What is asked of a run beside its changes.
pub struct Asked {
    pub start: usize,
    /// None where repetitions are not looked for.
    pub mark: Option<Mark>,
    pub now_us: i64,
    pub catching_up: bool,
    /// Whether the records are hashed.
    pub leaves: bool,
}

/// A change that has been walked.
struct Change<'a> {
    data: &'a [u8],
    found: &'a Found,
    number: u32,
    catching_up: bool,
    leaves: bool,
}

/// Room for work, made once a run.
#[derive(Default)]
struct Scratch {
    mask: Vec<u8>,
    key: Vec<u8>,
    /// Position and time of the change, as every record has them.
    said: Vec<u8>,
    delivered: Vec<usize>,
}

/// The byte of a leaf and the length of the key, which stand before it.
const MESSAGE_HEAD: usize = 5;

/// What this engine will not judge, where it is not the bytes that are broken.
const UNJUDGED: Broken = Broken { at: 0, what: "a change that the reference judges" };

impl From<Unsure> for Broken {
    fn from(_: Unsure) -> Self {
        UNJUDGED
    }
}

/// Memory that runs have used and the next may use again: to get it anew from the system costs as much as to fill it.
#[derive(Default)]
pub struct Room(Mutex<Vec<Vec<Outcome>>>);

/// As many as a projection has at the same time: the one that is made, and the one that is sent meanwhile.
const KEPT_RUNS: usize = 2;
/// A partition that was given more than this once does not hold it for ever.
const KEPT_BYTES: usize = 8 << 20;

impl Room {
    pub fn take(&self) -> Vec<Outcome> {
        self.0.lock().map_or_else(|_| Vec::new(), |mut kept| kept.pop().unwrap_or_default())
    }

    pub fn give_back(&self, mut outcomes: Vec<Outcome>) {
        outcomes.iter_mut().for_each(Outcome::clear);
        if let Ok(mut kept) = self.0.lock()
            && kept.len() < KEPT_RUNS
        {
            kept.push(outcomes);
        }
    }
}

/// Project `changes`; `room` is what an earlier run of the same plan has left, or nothing.
pub fn run(plan: &Plan, changes: &[&[u8]], asked: Asked, room: Vec<Outcome>) -> Run {
    let mut outcomes = room;
    if outcomes.is_empty() {
        let left = changes.len().saturating_sub(asked.start);
        outcomes = plan.grants.iter().map(|grant| Outcome::of(grant.partitions, left)).collect();
    }
    let (mut found, mut scratch, mut mark) = (Found::default(), Scratch::default(), asked.mark);
    let (mut stopped_at, mut why) = (changes.len(), None);
    for (number, data) in changes.iter().enumerate().skip(asked.start) {
        let heard = mark;
        if let Err(broken) = one(plan, data, number as u32, &asked, &mut found, &mut mark, &mut outcomes, &mut scratch) {
            for outcome in &mut outcomes {
                outcome.forget(number as u32);
            }
            (stopped_at, why, mark) = (number, Some(broken), heard);
            break;
        }
    }
    for outcome in &mut outcomes {
        outcome.count();
        if asked.leaves {
            outcome.partitions.iter_mut().for_each(Partition::hash_rest);
        }
    }
    Run { outcomes, stopped_at, why, mark }
}

#[allow(clippy::too_many_arguments)]
fn one(
    plan: &Plan,
    data: &[u8],
    number: u32,
    asked: &Asked,
    found: &mut Found,
    mark: &mut Option<Mark>,
    outcomes: &mut [Outcome],
    scratch: &mut Scratch,
) -> Result<(), Broken> {
    walk(plan, data, found)?;
    if let Some(mark) = mark {
        let sequence = found.sequence.map(|(start, end)| &data[start..end]);
        match mark.hears(found.op, sequence, found.micros) {
            Said::New => {}
            Said::Before => return Ok(()),
            Said::Unsure => return Err(UNJUDGED),
        }
    }
    let deletes = found.op == b'd';
    let committed_us = found.committed_us(data).ok_or(UNJUDGED)?;
    let position = found.lsn.filter(|lsn| *lsn != 0).or(found.position).unwrap_or(0);
    if deletes == found.has_after || (deletes && !found.has_before) || position < 0 {
        return Err(UNJUDGED);
    }
    scratch.said.clear();
    put_position(&mut scratch.said, position);
    put_long(&mut scratch.said, committed_us);
    scratch.delivered.clear();
    let change = Change { data, found, number, catching_up: asked.catching_up, leaves: asked.leaves };
    for (place, grant) in plan.grants.iter().enumerate() {
        if change.project(grant, &mut outcomes[place], scratch)? {
            scratch.delivered.push(place);
        }
    }
    if !asked.catching_up && found.op != b'r' {
        let latency = (asked.now_us - committed_us).max(0);
        for &place in &scratch.delivered {
            let (least, most) = outcomes[place].latency.unwrap_or((latency, latency));
            outcomes[place].latency = Some((least.min(latency), most.max(latency)));
        }
    }
    Ok(())
}

impl Change<'_> {
    /// Whether `grant` gets something of the change; it is written to `outcome`.
    fn project(&self, grant: &Grant, outcome: &mut Outcome, scratch: &mut Scratch) -> Result<bool, Unsure> {
        let (before, after) = (&self.found.before[..], &self.found.after[..]);
        let earlier = self.found.has_before.then_some(before);
        let was_seen = self.found.has_before && self.sees(grant, before, None)?;
        let is_seen = self.found.has_after && self.sees(grant, after, earlier)?;
        if is_seen {
            let op = if self.catching_up || self.found.op == b'r' {
                Op::Read
            } else if !was_seen {
                Op::Create
            } else if self.same(grant, before, after)? {
                return Ok(false);
            } else {
                Op::Update
            };
            self.key(grant, after, scratch)?;
            self.emit(grant, op, Some((after, earlier)), outcome, scratch)?;
        } else if was_seen {
            self.key(grant, before, scratch)?;
            self.emit(grant, Op::Delete, None, outcome, scratch)?;
            self.emit(grant, Op::Tombstone, None, outcome, scratch)?;
        }
        Ok(is_seen || was_seen)
    }

    fn sees(&self, grant: &Grant, row: &[Slot], before: Option<&[Slot]>) -> Result<bool, Unsure> {
        let Some(filter) = &grant.filter else { return Ok(true) };
        let value = |column: &Column| -> Result<Option<Value<'_>>, Unsure> {
            let slot = self.slot(column, row, before)?;
            if slot.is_null() { Ok(None) } else { column.spelling.read(slot.body(self.data)).map(Some) }
        };
        // what is amiss with any of them matters, be it looked at or not
        for column in &grant.filtered {
            value(column)?;
        }
        Ok(filter.matches(|place| value(&grant.filtered[place]).ok().flatten()))
    }

    /// Where the value of a column is, taken from the row before where an update did not touch it.
    #[inline]
    fn slot<'s>(&self, column: &Column, row: &'s [Slot], before: Option<&'s [Slot]>) -> Result<&'s Slot, Unsure> {
        let slot = &row[column.place];
        if !self.is_unavailable(column, slot) {
            return Ok(slot);
        }
        let earlier = &before.ok_or(Unsure)?[column.place];
        if self.is_unavailable(column, earlier) { Err(Unsure) } else { Ok(earlier) }
    }

    #[inline]
    fn is_unavailable(&self, column: &Column, slot: &Slot) -> bool {
        matches!(column.spelling, Spelling::Text | Spelling::Zoned)
            && !slot.is_null()
            && slot.end - slot.body == UNAVAILABLE.len() as u32
            && slot.body(self.data) == UNAVAILABLE
    }

    fn same(&self, grant: &Grant, before: &[Slot], after: &[Slot]) -> Result<bool, Unsure> {
        for one in grant.shown.iter().chain(&grant.key) {
            let (old, new) = (&before[one.column.place], &after[one.column.place]);
            if !self.is_unavailable(&one.column, new) && !self.equal(&one.column, old, new)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn equal(&self, column: &Column, old: &Slot, new: &Slot) -> Result<bool, Unsure> {
        if old.is_null() || new.is_null() {
            return Ok(old.is_null() && new.is_null());
        }
        let (old, new) = (old.body(self.data), new.body(self.data));
        Ok(match column.spelling {
            Spelling::Double | Spelling::Float | Spelling::Decimal { .. } => {
                column.spelling.read(old)? == column.spelling.read(new)?
            }
            _ => old == new,
        })
    }

    /// The projected key, in wire format, into `scratch.key`.
    fn key(&self, grant: &Grant, row: &[Slot], scratch: &mut Scratch) -> Result<(), Unsure> {
        let Scratch { mask, key, .. } = scratch;
        key.clear();
        key.extend_from_slice(&grant.key_head);
        for one in &grant.key {
            let slot = self.slot(&one.column, row, None)?;
            if slot.is_null() {
                return Err(Unsure);
            }
            self.put(grant, one, slot, mask, key)?;
        }
        Ok(())
    }

    fn emit(
        &self,
        grant: &Grant,
        op: Op,
        row: Option<(&[Slot], Option<&[Slot]>)>,
        outcome: &mut Outcome,
        scratch: &mut Scratch,
    ) -> Result<(), Unsure> {
        let Scratch { mask, key, said, .. } = scratch;
        let place = if grant.partitions == 1 { 0 } else { partition_of(key, grant.partitions) };
        let partition = &mut outcome.partitions[place];
        let out = &mut partition.bytes;
        // as the message of a leaf has it, which is hashed where it lies
        out.push(LEAF);
        out.extend_from_slice(&(key.len() as u32).to_be_bytes());
        let key_start = out.len();
        out.extend_from_slice(key);
        let key_end = out.len();
        let value_start = key_end + 1;
        if let Some(letter) = op.letter() {
            let [a, b, c, d, e] = grant.value_head;
            out.extend_from_slice(&[1, a, b, c, d, e, 2, letter, 2 * u8::from(row.is_some())]);
            if let Some((row, before)) = row {
                for step in &grant.steps {
                    match step {
                        Step::Copy(run) => self.copy(run, row, before, out)?,
                        Step::Show(one) => {
                            let slot = self.slot(&one.column, row, before)?;
                            self.show(grant, one, slot, mask, out)?;
                        }
                    }
                }
            }
            out.extend_from_slice(&grant.system);
            out.extend_from_slice(said);
            out.extend_from_slice(&grant.tail);
        } else {
            out.push(0);
        }
        let value = (op != Op::Tombstone).then_some((value_start, out.len()));
        partition.records.push(Record { op, change: self.number, key: (key_start, key_end), value });
        if self.leaves {
            partition.hash_two();
        }
        Ok(())
    }

    /// Neighbours that stand in the change as they stand in a share topic.
    #[inline]
    fn copy(&self, run: &[Column], row: &[Slot], before: Option<&[Slot]>, out: &mut Vec<u8>) -> Result<(), Unsure> {
        let mut from = row[run[0].place].start as usize;
        let mut to = from;
        for column in run {
            let slot = &row[column.place];
            if self.is_unavailable(column, slot) {
                // what an update did not touch is taken from the row before, where it stands in the same way
                out.extend_from_slice(&self.data[from..to]);
                let earlier = self.slot(column, row, before)?;
                out.extend_from_slice(&self.data[earlier.start as usize..earlier.end as usize]);
                from = slot.end as usize;
            } else if !slot.is_null() && !column.spelling.stands(slot.body(self.data)) {
                out.extend_from_slice(&self.data[from..to]);
                out.push(2);
                column.spelling.read(slot.body(self.data))?.put(out);
                from = slot.end as usize;
            }
            to = slot.end as usize;
        }
        out.extend_from_slice(&self.data[from..to]);
        Ok(())
    }

    /// A granted item, as an optional field has it.
    #[inline]
    fn show(&self, grant: &Grant, one: &Shown, slot: &Slot, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Unsure> {
        if matches!(one.mask, Some(Mask::Null)) || (slot.is_null() && !matches!(one.mask, Some(Mask::Constant(_)))) {
            if !slot.is_null() {
                one.column.spelling.read(slot.body(self.data))?;
            }
            out.push(0);
            return Ok(());
        }
        out.push(2);
        self.put(grant, one, slot, scratch, out)
    }

    #[inline]
    fn put(&self, grant: &Grant, one: &Shown, slot: &Slot, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Unsure> {
        let spelling = one.column.spelling;
        if slot.is_null() {
            // under a constant, which hides that too
            if let Some(mask) = &one.mask {
                mask.put(&Value::Boolean(false), &grant.secret, scratch, out);
            }
            return Ok(());
        }
        if one.mask.is_none() && spelling.copies() && spelling.stands(slot.body(self.data)) {
            out.extend_from_slice(slot.value(self.data));
            return Ok(());
        }
        let value = spelling.read(slot.body(self.data))?;
        match &one.mask {
            Some(mask) => mask.put(&value, &grant.secret, scratch, out),
            None => value.put(out),
        }
        Ok(())
    }
}

impl Op {
    fn letter(self) -> Option<u8> {
        match self {
            Self::Create => Some(b'c'),
            Self::Update => Some(b'u'),
            Self::Delete => Some(b'd'),
            Self::Read => Some(b'r'),
            Self::Tombstone => None,
        }
    }
}

impl Partition {
    /// What is hashed of a record: the message of a leaf of an RFC 6962 tree, as it lies among the bytes.
    fn message(&self, record: &Record) -> &[u8] {
        let (start, end) = (record.key.0 - MESSAGE_HEAD, record.value.map_or(record.key.1 + 1, |(_, end)| end));
        &self.bytes[start..end]
    }

    /// Hash the last two records, where both are not hashed yet.
    #[inline]
    fn hash_two(&mut self) {
        if let [one, other] = &self.records[self.leaves.len()..] {
            let both = Sha256.of_two(self.message(one), self.message(other));
            self.leaves.extend(both);
        }
    }

    /// Hash the last record, where it is not hashed yet.
    fn hash_rest(&mut self) {
        if let [last] = &self.records[self.leaves.len()..] {
            let hash = Sha256.of(self.message(last));
            self.leaves.push(hash);
        }
    }
}

impl Outcome {
    /// With room for as many records as there are changes, up to what costs nothing where few are delivered.
    fn of(partitions: usize, changes: usize) -> Self {
        let room = (changes / partitions).min(1_024);
        let partition = |_| Partition {
            bytes: Vec::with_capacity(room * 256),
            records: Vec::with_capacity(room),
            leaves: Vec::with_capacity(room),
        };
        Self { partitions: (0..partitions).map(partition).collect(), ..Self::default() }
    }

    /// Make it as new, but for the memory that it has.
    fn clear(&mut self) {
        for one in &mut self.partitions {
            one.bytes.clear();
            one.bytes.shrink_to(KEPT_BYTES);
            one.records.clear();
            one.leaves.clear();
        }
        (self.counts, self.changes, self.first, self.last, self.latency) = Default::default();
    }

    /// Take back what change `number` has left.
    fn forget(&mut self, number: u32) {
        for one in &mut self.partitions {
            while one.records.last().is_some_and(|record| record.change == number) {
                one.records.pop();
            }
            one.leaves.truncate(one.records.len());
        }
    }

    fn count(&mut self) {
        for record in self.partitions.iter().flat_map(|one| &one.records) {
            self.counts[record.op as usize] += 1;
            if record.op != Op::Tombstone {
                self.first = if self.changes == 0 { record.change } else { self.first.min(record.change) };
                self.last = self.last.max(record.change);
                self.changes += 1;
            }
        }
    }
}

/// Sixteen lower-case hex digits.
fn put_position(out: &mut Vec<u8>, position: i64) {
    let [high, low] = [position >> 32, position].map(|half| digits(half as u32));
    out.push(32);
    out.extend_from_slice(&high);
    out.extend_from_slice(&low);
}

/// All digits at once: a library's table takes 16 turns.
#[inline]
fn digits(number: u32) -> [u8; 8] {
    let word = u64::from(number);
    let word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    let word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    let word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (word + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (word + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}
