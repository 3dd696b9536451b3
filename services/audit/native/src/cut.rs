//! Cuts the fields that an entry says out of a record's bytes, as `cutter` of `domain/entry.py` does.

use serde_json::Value as Json;
use tongshu_core::avro::{Cursor, Node, Schema};

/// Bytes of the wire format before a record.
pub const HEAD: usize = 5;

/// What is cut out, in the order of `Input.wanted`.
pub const PARTS: usize = 7;
const KIND: usize = 0;
const ACTOR: usize = 4;

enum Part {
    Constant(Vec<u8>),
    Field(usize),
}

/// Where the parts of an entry lie in the records of a schema.
pub struct Cut {
    schema: Schema,
    /// The record's fields, up to the last that is wanted.
    walked: Vec<Node>,
    parts: [Part; PARTS],
}

impl Cut {
    /// From `{"schema": …, "wanted": [name or {"constant": hex}, …]}`; says why this one is the reference's to do.
    pub fn of(json: &Json) -> Result<Self, String> {
        let mut schema = Schema::default();
        let top = schema.node(&json["schema"], "")?;
        let (fields, _) = schema.record_of(&top).ok_or("the schema is no record")?;
        let wanted = json["wanted"].as_array().ok_or("nothing is wanted")?;
        let parts: Vec<Part> = wanted.iter().map(|one| part(one, fields)).collect::<Result<_, _>>()?;
        for place in [KIND, ACTOR] {
            if let Some(Part::Field(at)) = parts.get(place)
                && !matches!(fields[*at].1, Node::String)
            {
                return Err("what happened or who did it is no text".into());
            }
        }
        let last = parts.iter().filter_map(|part| if let Part::Field(at) = part { Some(at + 1) } else { None }).max();
        let walked = fields[..last.unwrap_or(0)].iter().map(|(_, node)| node.clone()).collect();
        let parts = parts.try_into().map_err(|_| "an entry has other parts")?;
        Ok(Self { schema, walked, parts })
    }

    /// The parts of `data`; None where anything is amiss. `ends` is room to work in.
    pub fn parts<'a>(&'a self, data: &'a [u8], ends: &mut Vec<usize>) -> Option<[&'a [u8]; PARTS]> {
        let mut cursor = Cursor::new(data, HEAD);
        ends.clear();
        ends.push(HEAD);
        for node in &self.walked {
            cursor.skip(node, &self.schema, 0).ok()?;
            ends.push(cursor.at);
        }
        Some(std::array::from_fn(|place| match &self.parts[place] {
            Part::Constant(bytes) => bytes.as_slice(),
            Part::Field(at) => &data[ends[*at]..ends[at + 1]],
        }))
    }
}

fn part(wanted: &Json, fields: &[(String, Node)]) -> Result<Part, String> {
    if let Some(constant) = wanted["constant"].as_str() {
        return hex::decode(constant).map(Part::Constant).map_err(|error| error.to_string());
    }
    let place = fields.iter().position(|(name, _)| Some(name.as_str()) == wanted.as_str());
    place.map(Part::Field).ok_or_else(|| format!("the schema has no {wanted}"))
}

/// The text behind its length, as Avro has it; None where it is no such thing.
pub fn text(raw: &[u8]) -> Option<&str> {
    Cursor::new(raw, 0).text().ok()
}
