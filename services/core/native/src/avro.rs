//! Avro's bytes: reading them with every length checked, skipping what nobody asked for, and writing them.
//!
//! What is accepted here is well-formed and canonical: every varint in its shortest form, every text UTF-8. So whole
//! values may be copied from a change into a record without being read apart.

use serde_json::Value as Json;
use std::collections::HashMap;

/// Why bytes are not what their schema says, and at which byte (from 0, the wire format's header included).
#[derive(Debug, Clone, Copy)]
pub struct Broken {
    pub at: usize,
    pub what: &'static str,
}

/// That bytes are not what their schema says. Why is kept by the cursor: so an answer fits into registers.
#[derive(Debug, Clone, Copy)]
pub struct Amiss;

pub type Read<T> = Result<T, Amiss>;

/// A recursive schema with hostile bytes may not nest deeper than this.
const MAX_DEPTH: usize = 64;

pub struct Cursor<'a> {
    pub data: &'a [u8],
    pub at: usize,
    /// What is amiss, once something is.
    pub why: Broken,
}

impl<'a> Cursor<'a> {
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, why: Broken { at, what: "" } }
    }

    #[cold]
    pub fn broken<T>(&mut self, what: &'static str) -> Read<T> {
        self.why = Broken { at: self.at, what };
        Err(Amiss)
    }

    #[inline]
    pub fn byte(&mut self) -> Read<u8> {
        match self.data.get(self.at) {
            Some(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            None => self.broken("the bytes end too early"),
        }
    }

    #[inline(always)]
    pub fn long(&mut self) -> Read<i64> {
        match self.data.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(unzigzag(u64::from(byte)))
            }
            _ => self.longer(),
        }
    }

    /// A number that nobody asks for.
    #[inline]
    pub fn pass_long(&mut self) -> Read<()> {
        if self.within_a_word()?.is_some() {
            return Ok(());
        }
        // more than eight bytes then, where there are so many: of nine are nanoseconds since 1970
        if let Some([.., 1..0x80]) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<9>()) {
            self.at += 9;
            return Ok(());
        }
        self.long().map(drop)
    }

    /// Whether a union of null, which is branch `null`, and something else is null.
    #[inline(always)]
    pub fn is_null(&mut self, null: usize) -> Read<bool> {
        match self.data.get(self.at) {
            Some(&byte @ (0 | 2)) => {
                self.at += 1;
                Ok(usize::from(byte / 2) == null)
            }
            _ => self.branch(2).map(|branch| branch == null),
        }
    }

    /// A number whose first byte is not its last.
    #[inline(never)]
    fn longer(&mut self) -> Read<i64> {
        match self.within_a_word()? {
            Some(bytes) => Ok(unzigzag(packed(bytes))),
            None => self.long_by_bytes(),
        }
    }

    /// The bytes of a number that has at most eight, which is passed; None where it may have more.
    #[inline(always)]
    fn within_a_word(&mut self) -> Read<Option<u64>> {
        let Some(word) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) else {
            return Ok(None);
        };
        // the first byte without the high bit is the last: found in one step
        let word = u64::from_le_bytes(*word);
        let stops = !word & HIGH;
        if stops == 0 {
            return Ok(None);
        }
        let bits = stops.trailing_zeros();
        if bits > 7 && word >> (bits - 7) & 0x7f == 0 {
            return self.broken("a number is not in its shortest form");
        }
        self.at += bits as usize / 8 + 1;
        Ok(Some(word & (u64::MAX >> (63 - bits))))
    }

    fn long_by_bytes(&mut self) -> Read<i64> {
        let first = self.byte()?;
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                if byte == 0 || (shift == 63 && byte > 1) {
                    return self.broken("a number is not in its shortest form");
                }
                return Ok(unzigzag(value));
            }
        }
        self.broken("a number has too many bytes")
    }

    #[inline]
    pub fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        match self.at.checked_add(length).and_then(|end| self.data.get(self.at..end)) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => self.broken("the bytes end too early"),
        }
    }

    #[inline(always)]
    pub fn bytes(&mut self) -> Read<&'a [u8]> {
        if let Some(rest) = self.data.get(self.at..)
            && let [length, rest @ ..] = rest
            // of one byte, and not negative
            && length & 0x81 == 0
            && let Some(taken) = rest.get(..usize::from(length / 2))
        {
            self.at += 1 + taken.len();
            return Ok(taken);
        }
        self.longer_bytes()
    }

    #[inline(never)]
    fn longer_bytes(&mut self) -> Read<&'a [u8]> {
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(length) => self.take(length),
            Err(_) => self.broken("a length is negative"),
        }
    }

    #[inline(always)]
    pub fn text(&mut self) -> Read<&'a str> {
        let start = self.at;
        let bytes = self.bytes()?;
        if !self.is_ascii(bytes.len()) {
            self.require_utf8(bytes, start)?;
        }
        // SAFETY: ASCII is UTF-8, and all else has been looked at.
        Ok(unsafe { std::str::from_utf8_unchecked(bytes) })
    }

    #[inline(never)]
    fn require_utf8(&mut self, bytes: &[u8], start: usize) -> Read<()> {
        let known = leading_chinese(bytes);
        if known < bytes.len() && std::str::from_utf8(&bytes[known..]).is_err() {
            self.at = start;
            return self.broken("a text is not UTF-8");
        }
        Ok(())
    }

    /// Whether the last `length` bytes are ASCII. The standard library's test pays for long texts; most here have a
    /// dozen bytes.
    #[inline]
    fn is_ascii(&self, length: usize) -> bool {
        let bytes = &self.data[self.at - length..];
        let (words, _) = bytes.as_chunks::<8>();
        let whole = length / 8;
        let (Some(words), Some(last)) = (words.get(..whole), bytes.get(whole * 8..).and_then(|rest| rest.first_chunk())) else {
            return bytes[..length].is_ascii();
        };
        let last = u64::from_le_bytes(*last) & !(u64::MAX << (length % 8 * 8));
        let high = words.iter().fold(last, |high, word| high | u64::from_ne_bytes(*word));
        high & HIGH == 0
    }

    #[inline]
    pub fn boolean(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => self.broken("a truth value is neither 0 nor 1"),
        }
    }

    /// The branch of a union of `branches`.
    #[inline(always)]
    pub fn branch(&mut self, branches: usize) -> Read<usize> {
        match usize::try_from(self.long()?) {
            Ok(branch) if branch < branches => Ok(branch),
            _ => self.broken("a union has no such branch"),
        }
    }

    pub fn skip(&mut self, node: &Node, schema: &Schema, depth: usize) -> Read<()> {
        if depth > MAX_DEPTH {
            return self.broken("the value is nested too deep");
        }
        match node {
            Node::Null => {}
            Node::Boolean => drop(self.boolean()?),
            Node::Varint => self.pass_long()?,
            Node::Fixed(length) => drop(self.take(*length)?),
            Node::Bytes => drop(self.bytes()?),
            Node::String => drop(self.text()?),
            Node::Enum(symbols) => drop(self.branch(*symbols)?),
            Node::Union(branches) => {
                let branch = self.branch(branches.len())?;
                self.skip(&branches[branch], schema, depth + 1)?;
            }
            Node::Record(fields) => {
                for (_, field) in fields {
                    self.skip(field, schema, depth + 1)?;
                }
            }
            Node::Array(item) => self.skip_blocks(|cursor| cursor.skip(item, schema, depth + 1))?,
            Node::Map(item) => self.skip_blocks(|cursor| {
                cursor.text()?;
                cursor.skip(item, schema, depth + 1)
            })?,
            Node::Named(place) => self.skip(&schema.named[*place], schema, depth + 1)?,
        }
        Ok(())
    }

    fn skip_blocks(&mut self, mut one: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            let mut told = None;
            if count < 0 {
                count = count.checked_neg().unwrap_or(i64::MAX);
                let size = self.long()?;
                told = usize::try_from(size).ok().and_then(|size| self.at.checked_add(size));
                if told.is_none() {
                    return self.broken("a block has no such size");
                }
            }
            // items of no bytes at all would let a few bytes ask for any number of turns
            if count as u64 > self.data.len() as u64 {
                return self.broken("a block has more items than bytes");
            }
            for _ in 0..count {
                one(self)?;
            }
            // whoever goes by the size must come out where the items end
            if told.is_some_and(|end| end != self.at) {
                return self.broken("a block is not as long as it says");
            }
        }
    }
}

/// How many of the first bytes are ASCII or characters of three bytes from U+1000 to U+CFFF, as nearly all Chinese is.
#[inline]
fn leading_chinese(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte < 0x80 {
            at += 1;
        } else if let (0xe1..=0xec, Some(&[0x80..=0xbf, 0x80..=0xbf])) = (byte, bytes.get(at + 1..).and_then(|rest| rest.first_chunk())) {
            at += 3;
        } else {
            break;
        }
    }
    at
}

const HIGH: u64 = 0x8080_8080_8080_8080;

/// The seven low bits of each byte, moved together.
#[inline]
fn packed(word: u64) -> u64 {
    let word = word & !HIGH;
    let word = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let word = (word & 0x0000_3fff_0000_3fff) | (word & 0x3fff_0000_3fff_0000) >> 2;
    (word & 0x0fff_ffff) | (word & 0x0fff_ffff_0000_0000) >> 4
}

#[inline]
fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// The other way round, of at most 56 bits.
#[inline]
fn spread(bits: u64) -> u64 {
    let word = (bits & 0x0fff_ffff) | (bits & 0x00ff_ffff_f000_0000) << 4;
    let word = (word & 0x0000_3fff_0000_3fff) | (word & 0x0fff_c000_0fff_c000) << 2;
    (word & 0x007f_007f_007f_007f) | (word & 0x3f80_3f80_3f80_3f80) << 1
}

#[inline]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    if rest < 0x80 {
        out.push(rest as u8);
    } else if rest >> 56 == 0 {
        let length = (70 - rest.leading_zeros() as usize) / 7;
        let goes_on = HIGH & ((1 << (8 * (length - 1))) - 1);
        out.extend_from_slice(&(spread(rest) | goes_on).to_le_bytes());
        out.truncate(out.len() + length - 8);
    } else {
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// A schema as far as it is needed to find one's way through its bytes.
#[derive(Debug, Clone)]
pub enum Node {
    Null,
    Boolean,
    Varint,
    /// Float, double and fixed: so many bytes.
    Fixed(usize),
    Bytes,
    String,
    Enum(usize),
    Array(Box<Node>),
    Map(Box<Node>),
    Union(Vec<Node>),
    Record(Vec<(String, Node)>),
    Named(usize),
}

#[derive(Default)]
pub struct Schema {
    pub named: Vec<Node>,
    places: HashMap<String, usize>,
    /// The JSON of each named record, for whoever asks for the logical types of its fields.
    json: Vec<Json>,
}

impl Schema {
    /// The node of `json`; every named type found in it is remembered.
    pub fn node(&mut self, json: &Json, namespace: &str) -> Result<Node, String> {
        match json {
            Json::String(name) => self.simple(name, namespace),
            Json::Array(branches) => Ok(Node::Union(
                branches.iter().map(|branch| self.node(branch, namespace)).collect::<Result<_, _>>()?,
            )),
            Json::Object(object) => {
                let kind = object.get("type").ok_or("a schema has no type")?;
                match kind.as_str() {
                    Some("record" | "error") => self.record(json, namespace),
                    Some("enum") => {
                        let symbols = json["symbols"].as_array().ok_or("an enum has no symbols")?.len();
                        self.define(json, namespace, |_, _| Ok(Node::Enum(symbols)))
                    }
                    Some("fixed") => {
                        let size = json["size"].as_u64().ok_or("a fixed has no size")?;
                        self.define(json, namespace, |_, _| Ok(Node::Fixed(size as usize)))
                    }
                    Some("array") => Ok(Node::Array(Box::new(self.node(&json["items"], namespace)?))),
                    Some("map") => Ok(Node::Map(Box::new(self.node(&json["values"], namespace)?))),
                    _ => self.node(kind, namespace),
                }
            }
            _ => Err("a schema is neither a name, a union nor an object".into()),
        }
    }

    /// The record that `node` is or names, and its JSON.
    pub fn record_of<'s>(&'s self, node: &'s Node) -> Option<(&'s [(String, Node)], &'s Json)> {
        match node {
            Node::Named(place) => match &self.named[*place] {
                Node::Record(fields) => Some((fields, &self.json[*place])),
                _ => None,
            },
            _ => None,
        }
    }

    fn simple(&mut self, name: &str, namespace: &str) -> Result<Node, String> {
        Ok(match name {
            "null" => Node::Null,
            "boolean" => Node::Boolean,
            "int" | "long" => Node::Varint,
            "float" => Node::Fixed(4),
            "double" => Node::Fixed(8),
            "bytes" => Node::Bytes,
            "string" => Node::String,
            _ => {
                let place = self.places.get(&full_name(name, namespace)).or_else(|| self.places.get(name));
                Node::Named(*place.ok_or_else(|| format!("the schema names {name}, which it does not define"))?)
            }
        })
    }

    fn record(&mut self, json: &Json, namespace: &str) -> Result<Node, String> {
        self.define(json, namespace, |schema, namespace| {
            let fields = json["fields"].as_array().ok_or("a record has no fields")?;
            let mut nodes = Vec::with_capacity(fields.len());
            for field in fields {
                let name = field["name"].as_str().ok_or("a field has no name")?;
                nodes.push((name.to_owned(), schema.node(&field["type"], namespace)?));
            }
            Ok(Node::Record(nodes))
        })
    }

    fn define(
        &mut self,
        json: &Json,
        namespace: &str,
        make: impl FnOnce(&mut Self, &str) -> Result<Node, String>,
    ) -> Result<Node, String> {
        let name = json["name"].as_str().ok_or("a named type has no name")?;
        let namespace = json["namespace"].as_str().unwrap_or(namespace);
        let full = full_name(name, namespace);
        let inner = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        let place = self.named.len();
        self.named.push(Node::Null);
        self.json.push(json.clone());
        self.places.insert(full, place);
        self.named[place] = make(self, &inner)?;
        Ok(Node::Named(place))
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}
