//! The walk over one change: once through its bytes, every length, text and branch checked.

use crate::plan::{Field, Kind, Origin, Part, Plan};
use tongshu_core::avro::{Broken, Cursor, Read, Schema};

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
    pub millis: Option<i64>,
    /// Where the text of the source's sequence stands.
    pub sequence: Option<(usize, usize)>,
}

/// Walks `data`, a change in wire format.
pub fn walk(plan: &Plan, data: &[u8], found: &mut Found) -> Read<()> {
    if !data.starts_with(&plan.head) {
        return Err(Broken { at: 0, what: "a change of another schema" });
    }
    if data.len() > plan.most_bytes {
        return Err(Broken { at: plan.most_bytes, what: "a change that is too long" });
    }
    let mut cursor = Cursor { data, at: plan.head.len() };
    (found.has_before, found.has_after) = (false, false);
    for part in &plan.parts {
        match part {
            Part::Before { null } => {
                found.has_before = cursor.branch(2)? != *null;
                if found.has_before {
                    row(&plan.row, &plan.schema, &mut cursor, &mut found.before)?;
                }
            }
            Part::After { null } => {
                found.has_after = cursor.branch(2)? != *null;
                if found.has_after {
                    row(&plan.row, &plan.schema, &mut cursor, &mut found.after)?;
                }
            }
            Part::Op => {
                let op = cursor.bytes()?;
                found.op = match op {
                    [op @ (b'c' | b'u' | b'd' | b'r')] => *op,
                    _ => return cursor.broken("an operation that concerns no single row"),
                };
            }
            Part::Source => source(plan, &mut cursor, found)?,
            Part::Other(node) => cursor.skip(node, &plan.schema, 0)?,
        }
    }
    if cursor.at != data.len() {
        return cursor.broken("bytes are left over");
    }
    Ok(())
}

#[inline]
fn row(fields: &[Field], schema: &Schema, cursor: &mut Cursor<'_>, slots: &mut Vec<Slot>) -> Read<()> {
    slots.resize(fields.len(), Slot::default());
    for (slot, field) in slots.iter_mut().zip(fields) {
        *slot = value(field, schema, cursor)?;
    }
    Ok(())
}

#[inline]
fn value(field: &Field, schema: &Schema, cursor: &mut Cursor<'_>) -> Read<Slot> {
    let start = cursor.at as u32;
    if let Some(null) = field.null
        && cursor.branch(2)? == null
    {
        return Ok(Slot { start, value: start, body: NOWHERE, end: cursor.at as u32 });
    }
    let value = cursor.at as u32;
    let mut body = value;
    match &field.kind {
        Kind::Varint => drop(cursor.long()?),
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
    Ok(Slot { start, value, body, end: cursor.at as u32 })
}

fn source(plan: &Plan, cursor: &mut Cursor<'_>, found: &mut Found) -> Read<()> {
    (found.lsn, found.position, found.micros, found.millis, found.sequence) = (None, None, None, None, None);
    for (origin, field) in &plan.source {
        if *origin == Origin::Other {
            value(field, &plan.schema, cursor)?;
            continue;
        }
        if let Some(null) = field.null
            && cursor.branch(2)? == null
        {
            continue;
        }
        match origin {
            Origin::Lsn => found.lsn = Some(cursor.long()?),
            Origin::Position => found.position = Some(cursor.long()?),
            Origin::Micros => found.micros = Some(cursor.long()?),
            Origin::Millis => found.millis = Some(cursor.long()?),
            Origin::Sequence => {
                let length = cursor.text()?.len();
                found.sequence = Some((cursor.at - length, cursor.at));
            }
            Origin::Other => {}
        }
    }
    Ok(())
}
