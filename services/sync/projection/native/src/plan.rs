//! Plans: a writer's schema and the grants that are served from its changes, made ready for the walk.
//!
//! What this engine does not know (a column of a kind it cannot read, an envelope of another shape) is an error here,
//! and the reference engine does that work.

use crate::filter::Filter;
use crate::mask::{Key, Mask, key};
use crate::value::Spelling;
use serde_json::Value as Json;
use tongshu_core::avro::{Node, Schema, put_bytes};

/// What is read of a field, and whether it may be null.
#[derive(Debug, Clone)]
pub struct Field {
    /// The branch of null, where the field is a union of null and something else.
    pub null: Option<usize>,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Varint,
    Fixed(usize),
    Boolean,
    Bytes,
    Text,
    Other(Box<Node>),
}

/// The parts of the envelope, in the order in which they are written.
#[derive(Debug, Clone)]
pub enum Part {
    Before { null: usize },
    After { null: usize },
    Source,
    Op,
    Other(Field),
}

/// What is read of the change's source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Origin {
    Lsn,
    Position,
    Micros,
    Millis,
    Sequence,
    /// The first of so many texts that are the same in most changes of a topic: who wrote it, and of which table it is.
    Texts(usize),
    Other,
}

/// A column that is read: where it stands in the row, and how it is spelt.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub place: usize,
    pub spelling: Spelling,
}

#[derive(Debug, Clone)]
pub struct Shown {
    pub column: Column,
    pub mask: Option<Mask>,
}

/// How granted items are written.
pub enum Step {
    /// Neighbours that a change spells as a share topic does: copied in one go, from the first to the last.
    Copy(Vec<Column>),
    Show(Shown),
}

pub struct Grant {
    pub key: Vec<Shown>,
    pub shown: Vec<Shown>,
    pub steps: Vec<Step>,
    pub filtered: Vec<Column>,
    pub filter: Option<Filter>,
    pub secret: Key,
    /// Partitions of the share topic.
    pub partitions: usize,
    /// The wire format's header and what else never changes, as bytes.
    pub key_head: [u8; 5],
    pub value_head: [u8; 5],
    pub system: Vec<u8>,
    pub tail: Vec<u8>,
}

pub struct Plan {
    /// The wire format's header of the changes that this plan is for, and how long they may be.
    pub head: [u8; 5],
    pub most_bytes: usize,
    pub schema: Schema,
    pub parts: Vec<Part>,
    pub row: Vec<Field>,
    pub source: Vec<(Origin, Field)>,
    pub grants: Vec<Grant>,
    columns: Vec<(String, Json)>,
}

impl Plan {
    /// Where a column is and how it is spelt.
    pub fn column(&self, json: &Json) -> Result<Column, String> {
        Column::of(json, &self.columns)
    }

    pub fn of(json: &Json) -> Result<Self, String> {
        let mut schema = Schema::default();
        let root = schema.node(&json["writer"], "")?;
        let (fields, _) = schema.record_of(&root).ok_or("a schema that is not a record")?;
        let fields = fields.to_vec();
        let part = |name: &str| {
            let found = fields.iter().find(|(field, _)| field == name);
            found.map(|(_, node)| node.clone()).ok_or_else(|| format!("an envelope without {name}"))
        };
        let (before, before_null) = nullable(&part("before")?).ok_or("a row before that is never missing")?;
        let (after, after_null) = nullable(&part("after")?).ok_or("a row after that is never missing")?;
        let (Node::Named(row), Node::Named(other)) = (&before, &after) else {
            return Err("rows that are no records".into());
        };
        if row != other {
            return Err("rows before and after of different kinds".into());
        }
        let (columns, row_json) = schema.record_of(&before).ok_or("rows that are no records")?;
        let columns: Vec<(String, Json)> =
            columns.iter().enumerate().map(|(at, (name, _))| (name.clone(), row_json["fields"][at]["type"].clone())).collect();
        let row = schema.record_of(&before).map(|(fields, _)| fields.iter().map(|(_, node)| field(node)).collect());
        let source = origins(&schema, &part("source")?)?;
        if !matches!(part("op")?, Node::String) {
            return Err("an operation that is no text".into());
        }
        let parts = fields
            .iter()
            .map(|(name, node)| match name.as_str() {
                "before" => Part::Before { null: before_null },
                "after" => Part::After { null: after_null },
                "source" => Part::Source,
                "op" => Part::Op,
                _ => Part::Other(field(node)),
            })
            .collect();
        let system = json["system"].as_str().ok_or("a plan without a system")?;
        let grants = json["grants"].as_array().ok_or("a plan without grants")?;
        let row: Vec<Field> = row.unwrap_or_default();
        let grants = grants.iter().map(|grant| Grant::of(grant, &columns, &row, system)).collect::<Result<_, _>>()?;
        let most_bytes = json["most_bytes"].as_u64().ok_or("a plan without a longest change")?;
        let (head, most_bytes) = (head(&json["schema_id"])?, most_bytes.min(u64::from(u32::MAX - 1)) as usize);
        Ok(Self { head, most_bytes, parts, row, source, grants, schema, columns })
    }
}

impl Grant {
    fn of(json: &Json, columns: &[(String, Json)], row: &[Field], system: &str) -> Result<Self, String> {
        let text = |name: &str| json[name].as_str().ok_or_else(|| format!("a grant without {name}"));
        let list = |name: &str| json[name].as_array().ok_or_else(|| format!("a grant without {name}"));
        let column = |json: &Json| Column::of(json, columns);
        let shown = |json: &Json| {
            let mask = if json["mask"].is_null() { None } else { Some(Mask::of(&json["mask"])?) };
            match (&mask, json["type"].as_str()) {
                (Some(mask), Some(kind)) if !mask.fits(kind) => Err(format!("a mask {mask:?} on {kind}")),
                _ => Ok(Shown { column: column(json)?, mask }),
            }
        };
        let mut tail = Vec::new();
        put_bytes(&mut tail, text("grant")?.as_bytes());
        put_bytes(&mut tail, text("contract_version")?.as_bytes());
        let mut name = Vec::new();
        put_bytes(&mut name, system.as_bytes());
        let granted: Vec<Shown> = list("shown")?.iter().map(shown).collect::<Result<_, _>>()?;
        Ok(Self {
            key: list("key")?.iter().map(shown).collect::<Result<_, _>>()?,
            steps: steps(&granted, row),
            shown: granted,
            filtered: list("filtered")?.iter().map(column).collect::<Result<_, _>>()?,
            filter: if json["filter"].is_null() { None } else { Some(Filter::of(&json["filter"])?) },
            secret: key(&hex::decode(text("secret")?).map_err(|_| "a secret that is no hex")?),
            partitions: json["partitions"].as_u64().filter(|count| *count > 0).ok_or("a topic without partitions")? as usize,
            key_head: head(&json["key_id"])?,
            value_head: head(&json["value_id"])?,
            system: name,
            tail,
        })
    }
}

fn steps(shown: &[Shown], row: &[Field]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for one in shown {
        // the branch of null comes first in a share topic: where it does so here too, even the branch is the same byte
        let copies = one.mask.is_none() && one.column.spelling.copies() && row[one.column.place].null == Some(0);
        match steps.last_mut() {
            Some(Step::Copy(run)) if copies && run.last().is_some_and(|last| last.place + 1 == one.column.place) => {
                run.push(one.column);
            }
            _ if copies => steps.push(Step::Copy(vec![one.column])),
            _ => steps.push(Step::Show(one.clone())),
        }
    }
    steps
}

impl Column {
    fn of(json: &Json, columns: &[(String, Json)]) -> Result<Self, String> {
        let (name, kind) = (json["column"].as_str().unwrap_or_default(), json["type"].as_str().unwrap_or_default());
        let place = columns.iter().position(|(column, _)| column == name).ok_or("a column that is not there")?;
        let written = match &columns[place].1 {
            Json::Array(branches) => match branches.iter().filter(|branch| *branch != "null").collect::<Vec<_>>()[..] {
                [only] if branches.len() <= 2 => only,
                _ => return Err(format!("a column of several kinds for {kind}")),
            },
            only => only,
        };
        let spelling = Spelling::of(kind, written).ok_or_else(|| format!("a column like {written} for {kind}"))?;
        Ok(Self { place, spelling })
    }
}

/// The wire format's header for a schema with this id.
fn head(id: &Json) -> Result<[u8; 5], String> {
    let id = id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or("a schema without an id")?;
    let [a, b, c, d] = id.to_be_bytes();
    Ok([0, a, b, c, d])
}

/// The other branch of a union of null and one more, and the place of null.
fn nullable(node: &Node) -> Option<(Node, usize)> {
    match node {
        Node::Union(branches) => match &branches[..] {
            [Node::Null, other] => Some((other.clone(), 0)),
            [other, Node::Null] => Some((other.clone(), 1)),
            _ => None,
        },
        _ => None,
    }
}

fn field(node: &Node) -> Field {
    let (node, null) = nullable(node).map_or_else(|| (node.clone(), None), |(node, null)| (node, Some(null)));
    let kind = match node {
        Node::Varint => Kind::Varint,
        Node::Fixed(length) => Kind::Fixed(length),
        Node::Boolean => Kind::Boolean,
        Node::Bytes => Kind::Bytes,
        Node::String => Kind::Text,
        other => Kind::Other(Box::new(other)),
    };
    Field { null, kind }
}

fn origins(schema: &Schema, node: &Node) -> Result<Vec<(Origin, Field)>, String> {
    let (fields, _) = schema.record_of(node).ok_or("a source that is no record")?;
    let mut found = Vec::with_capacity(fields.len());
    for (name, node) in fields {
        let origin = match name.as_str() {
            "lsn" => Origin::Lsn,
            "position" => Origin::Position,
            "ts_us" => Origin::Micros,
            "ts_ms" => Origin::Millis,
            "sequence" => Origin::Sequence,
            _ => Origin::Other,
        };
        let field = field(node);
        let origin = match field.kind {
            Kind::Text if origin == Origin::Other => Origin::Texts(1),
            _ => origin,
        };
        let fits = match origin {
            Origin::Other | Origin::Texts(_) => true,
            Origin::Sequence => matches!(field.kind, Kind::Text),
            _ => matches!(field.kind, Kind::Varint),
        };
        if !fits {
            return Err(format!("a source whose {name} is of another kind"));
        }
        found.push((origin, field));
    }
    if !found.iter().any(|(origin, _)| matches!(origin, Origin::Micros | Origin::Millis)) {
        return Err("a source that does not say when".into());
    }
    for number in (1..found.len()).rev() {
        if let (Origin::Texts(_), Origin::Texts(neighbours)) = (found[number - 1].0, found[number].0) {
            found[number - 1].0 = Origin::Texts(neighbours + 1);
        }
    }
    Ok(found)
}
