//! Masks: what a grant shows of a value instead of it. Each result is a text, but for `Null`.

use crate::value::{Value, year_month};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value as Json;
use sha2::Sha256;
use std::io::Write;
use tongshu_core::avro::{put_bytes, put_long};

/// A grant's key, its state ready to be copied for every value.
pub type Key = Hmac<Sha256>;

#[derive(Debug, Clone)]
pub enum Mask {
    Keep { first: usize, last: usize, fill: char },
    Null,
    Constant(String),
    Year,
    Month,
    Range(i128),
    Pseudonym,
    /// So many digits of a division, the rest as zeros.
    Region(usize),
}

impl Mask {
    /// The mask that `json` says (checked before by `services.core.masks`); Err names what this engine does not know.
    pub fn of(json: &Json) -> Result<Self, String> {
        let number = |name: &str| json[name].as_u64().unwrap_or(0) as usize;
        Ok(match (json["kind"].as_str(), json["unit"].as_str(), json["level"].as_str()) {
            (Some("keep"), _, _) => {
                let fill = json["fill"].as_str().and_then(|fill| fill.chars().next()).unwrap_or('*');
                Self::Keep { first: number("first"), last: number("last"), fill }
            }
            (Some("null"), _, _) => Self::Null,
            (Some("constant"), _, _) => Self::Constant(json["value"].as_str().unwrap_or_default().to_owned()),
            (Some("date_to"), Some("year"), _) => Self::Year,
            (Some("date_to"), Some("month"), _) => Self::Month,
            (Some("range"), _, _) if number("width") > 0 => Self::Range(number("width") as i128),
            (Some("pseudonym"), _, _) => Self::Pseudonym,
            (Some("region_to"), _, Some("province")) => Self::Region(2),
            (Some("region_to"), _, Some("prefecture")) => Self::Region(4),
            (Some("region_to"), _, Some("county")) => Self::Region(6),
            _ => return Err(format!("a mask like {json}")),
        })
    }

    /// Writes what is shown of `value`, in Avro and without the branch of its union. `scratch` is for the work only.
    ///
    /// The plan has seen to it that the mask fits the value (`fits`).
    pub fn put(&self, value: &Value<'_>, key: &Key, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        scratch.clear();
        match self {
            Self::Null => unreachable!("a null mask writes no value"),
            Self::Constant(text) => return put_bytes(out, text.as_bytes()),
            Self::Pseudonym => return pseudonym(value, key, scratch, out),
            Self::Keep { first, last, fill } => return keep(text(value), *first, *last, *fill, out),
            Self::Region(kept) => {
                let text = text(value);
                let end = text.char_indices().nth(*kept).map_or(text.len(), |(at, _)| at);
                scratch.extend_from_slice(&text.as_bytes()[..end]);
                let shown = text[..end].chars().count();
                scratch.resize(scratch.len() + 6usize.saturating_sub(shown), b'0');
            }
            Self::Year | Self::Month => {
                let (year, month) = year_month(value).unwrap_or_default();
                match u16::try_from(year) {
                    // as format! would, which takes a tenth of a microsecond
                    Ok(year @ 0..=9999) => scratch.extend_from_slice(&four_digits(year)),
                    _ => write!(scratch, "{year:04}").expect("memory takes all"),
                }
                if matches!(self, Self::Month) {
                    scratch.extend_from_slice(&[b'-', b'0' + (month / 10) as u8, b'0' + (month % 10) as u8]);
                }
            }
            Self::Range(width) => {
                let whole = match *value {
                    Value::Integer(number) => i128::from(number),
                    Value::Decimal { unscaled, scale } => unscaled.div_euclid(10i128.pow(scale)),
                    _ => 0,
                };
                let start = whole.div_euclid(*width) * width;
                write!(scratch, "{start}-{}", start + width - 1).expect("memory takes all");
            }
        }
        put_bytes(out, scratch);
    }

    /// Whether values of an item of this type can stand under the mask, as `services.core.masks` has it.
    pub fn fits(&self, item_type: &str) -> bool {
        match self {
            Self::Keep { .. } | Self::Region(_) => item_type == "string",
            Self::Year | Self::Month => matches!(item_type, "date" | "timestamp"),
            Self::Range(_) => matches!(item_type, "integer" | "decimal"),
            Self::Null | Self::Constant(_) | Self::Pseudonym => true,
        }
    }
}

pub fn key(secret: &[u8]) -> Key {
    Key::new_from_slice(secret).expect("HMAC takes keys of any length")
}

/// The first 128 bits of an HMAC-SHA-256 over the typed value, in lower-case hex.
fn pseudonym(value: &Value<'_>, key: &Key, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    value.canonical(scratch);
    let mut mac = key.clone();
    mac.update(scratch);
    let mut hex = [0; 32];
    hex::encode_to_slice(&mac.finalize().into_bytes()[..16], &mut hex).expect("16 bytes are 32 digits");
    put_bytes(out, &hex);
}

fn keep(text: &str, first: usize, last: usize, fill: char, out: &mut Vec<u8>) {
    let plain = text.is_ascii();
    let length = if plain { text.len() } else { text.bytes().filter(|byte| !is_inner(*byte)).count() };
    let shown = first.saturating_add(last);
    let (head, tail) = if shown < length { (first, last) } else { (0, 0) };
    let mut encoded = [0; 4];
    let fill = fill.encode_utf8(&mut encoded).as_bytes();
    let at = |count: usize| match plain {
        true => count,
        false => text.char_indices().nth(count).map_or(text.len(), |(at, _)| at),
    };
    let (head_end, tail_start, hidden) = (at(head), at(length - tail), length - head - tail);
    put_long(out, (head_end + hidden * fill.len() + text.len() - tail_start) as i64);
    out.extend_from_slice(&text.as_bytes()[..head_end]);
    match fill {
        [one] => out.resize(out.len() + hidden, *one),
        _ => (0..hidden).for_each(|_| out.extend_from_slice(fill)),
    }
    out.extend_from_slice(&text.as_bytes()[tail_start..]);
}

/// Whether a byte is not the first of its character.
fn is_inner(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

fn four_digits(number: u16) -> [u8; 4] {
    [number / 1_000, number / 100 % 10, number / 10 % 10, number % 10].map(|digit| b'0' + digit as u8)
}

fn text<'v>(value: &Value<'v>) -> &'v str {
    match *value {
        Value::Text(text) => text,
        _ => "",
    }
}
