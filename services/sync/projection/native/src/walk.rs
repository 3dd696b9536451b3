//! The walk over one change: once through its bytes, every length, text and branch checked.

use crate::plan::{Field, Kind, Origin, Part, Plan};
use crate::value::MICROS;
use tongshu_core::avro::{Amiss, Broken, Cursor, Read, Schema};

/// Where a field stands in the change: from the branch of its union (where it is one), from its value, from the value's
/// content (a text's length left out), to its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slot {
    pub start: u32,
    value: u32,
    pub body: u32,
    pub end: u32,
}

/// Where the content of a null would be.
const NOWHERE: u32 = u32::MAX;

impl Slot {
    #[inline]
    pub fn is_null(&self) -> bool {
        self.body == NOWHERE
    }

    #[inline]
    pub fn body<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        &data[self.body as usize..self.end as usize]
    }

    #[inline]
    pub fn value<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        &data[self.value as usize..self.end as usize]
    }
}

/// What a walk has found; made once and used for every change.
#[derive(Default)]
pub struct Found {
    pub before: Vec<Slot>,
    pub after: Vec<Slot>,
    pub has_before: bool,
    pub has_after: bool,
    pub op: u8,
    pub lsn: Option<i64>,
    pub position: Option<i64>,
    pub micros: Option<i64>,
    /// Where the time in milliseconds stands, which is asked for only where there is none in microseconds.
    millis: Option<usize>,
    /// Where the text of the source's sequence stands.
    pub sequence: Option<(usize, usize)>,
    /// The bytes of the source's texts in the change before, by the number of the field with which neighbours begin: what
    /// was right there is right here, and is nearly always the same.
    texts: Vec<Vec<u8>>,
}

impl Found {
    /// When the change was committed at its source, in microseconds since 1970.
    pub fn committed_us(&self, data: &[u8]) -> Option<i64> {
        let millis = || Cursor::new(data, self.millis?).long().ok()?.checked_mul(1_000);
        self.micros.or_else(millis).filter(|micros| MICROS.contains(micros))
    }
}

/// Walks `data`, a change in wire format.
pub fn walk(plan: &Plan, data: &[u8], found: &mut Found) -> Result<(), Broken> {
    if !data.starts_with(&plan.head) {
        return Err(Broken { at: 0, what: "a change of another schema" });
    }
    if data.len() > plan.most_bytes {
        return Err(Broken { at: plan.most_bytes, what: "a change that is too long" });
    }
    let mut cursor = Cursor::new(data, plan.head.len());
    parts(plan, &mut cursor, found).map_err(|Amiss| cursor.why)
}

fn parts(plan: &Plan, cursor: &mut Cursor<'_>, found: &mut Found) -> Read<()> {
    (found.has_before, found.has_after) = (false, false);
    for part in &plan.parts {
        match part {
            Part::Before { null } => {
                found.has_before = !cursor.is_null(*null)?;
                if found.has_before {
                    row(&plan.row, &plan.schema, cursor, &mut found.before)?;
                }
            }
            Part::After { null } => {
                found.has_after = !cursor.is_null(*null)?;
                if found.has_after {
                    row(&plan.row, &plan.schema, cursor, &mut found.after)?;
                }
            }
            Part::Op => {
                let op = cursor.bytes()?;
                found.op = match op {
                    [op @ (b'c' | b'u' | b'd' | b'r')] => *op,
                    _ => return cursor.broken("an operation that concerns no single row"),
                };
            }
            Part::Source => source(plan, cursor, found)?,
            Part::Other(field) => value(field, &plan.schema, cursor, &mut Slot::default())?,
        }
    }
    if cursor.at != cursor.data.len() {
        return cursor.broken("bytes are left over");
    }
    Ok(())
}

#[inline]
fn row(fields: &[Field], schema: &Schema, cursor: &mut Cursor<'_>, slots: &mut Vec<Slot>) -> Read<()> {
    slots.resize(fields.len(), Slot::default());
    for (slot, field) in slots.iter_mut().zip(fields) {
        value(field, schema, cursor, slot)?;
    }
    Ok(())
}

#[inline]
fn value(field: &Field, schema: &Schema, cursor: &mut Cursor<'_>, slot: &mut Slot) -> Read<()> {
    let start = cursor.at as u32;
    if let Some(null) = field.null
        && cursor.is_null(null)?
    {
        *slot = Slot { start, value: start, body: NOWHERE, end: cursor.at as u32 };
        return Ok(());
    }
    let value = cursor.at as u32;
    let mut body = value;
    match &field.kind {
        Kind::Varint => cursor.pass_long()?,
        Kind::Fixed(length) => drop(cursor.take(*length)?),
        Kind::Boolean => drop(cursor.boolean()?),
        Kind::Bytes => {
            let length = cursor.bytes()?.len();
            body = (cursor.at - length) as u32;
        }
        Kind::Text => {
            let length = cursor.text()?.len();
            body = (cursor.at - length) as u32;
        }
        Kind::Other(node) => cursor.skip(node, schema, 0)?,
    }
    *slot = Slot { start, value, body, end: cursor.at as u32 };
    Ok(())
}

fn source(plan: &Plan, cursor: &mut Cursor<'_>, found: &mut Found) -> Read<()> {
    (found.lsn, found.position, found.micros, found.millis, found.sequence) = (None, None, None, None, None);
    found.texts.resize_with(plan.source.len(), Vec::new);
    let mut fields = plan.source.iter().enumerate();
    while let Some((number, (origin, field))) = fields.next() {
        if *origin == Origin::Other {
            value(field, &plan.schema, cursor, &mut Slot::default())?;
            continue;
        }
        if let Origin::Texts(neighbours) = *origin {
            texts(&plan.source[number..number + neighbours], &plan.schema, cursor, &mut found.texts[number])?;
            if neighbours > 1 {
                fields.nth(neighbours - 2);
            }
            continue;
        }
        if let Some(null) = field.null
            && cursor.is_null(null)?
        {
            continue;
        }
        match origin {
            Origin::Lsn => found.lsn = Some(cursor.long()?),
            Origin::Position => found.position = Some(cursor.long()?),
            Origin::Micros => found.micros = Some(cursor.long()?),
            Origin::Millis => {
                found.millis = Some(cursor.at);
                cursor.pass_long()?;
            }
            Origin::Sequence => {
                let length = cursor.text()?.len();
                found.sequence = Some((cursor.at - length, cursor.at));
            }
            Origin::Texts(_) | Origin::Other => {}
        }
    }
    Ok(())
}

/// Neighbouring texts, which are read apart only where they are not what they were.
fn texts(fields: &[(Origin, Field)], schema: &Schema, cursor: &mut Cursor<'_>, known: &mut Vec<u8>) -> Read<()> {
    if !known.is_empty() && cursor.data[cursor.at..].starts_with(known) {
        cursor.at += known.len();
        return Ok(());
    }
    let start = cursor.at;
    for (_, field) in fields {
        value(field, schema, cursor, &mut Slot::default())?;
    }
    known.clear();
    known.extend_from_slice(&cursor.data[start..cursor.at]);
    Ok(())
}
