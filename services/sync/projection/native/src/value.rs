//! Values of a row: how a source spells them, what a filter or mask makes of them, how a share topic spells them.

use serde_json::Value as Json;
use tongshu_core::avro::{put_bytes, put_long};

/// Debezium's stand-in for a large value that an update did not touch.
pub const UNAVAILABLE: &[u8] = b"__debezium_unavailable_value";

/// What Python's `date` and `datetime` can say (years 1 to 9999).
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
pub const MICROS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;
const DAY_MICROS: i64 = 86_400_000_000;

/// How the values of a column are spelt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spelling {
    Text,
    Integer,
    Decimal { precision: u32, scale: u32 },
    Double,
    Float,
    Boolean,
    Date,
    Micros,
    Millis,
    /// ISO 8601 text with its zone.
    Zoned,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Decimal { unscaled: i128, scale: u32 },
    Double(f64),
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i64),
    /// Microseconds since 1970-01-01 UTC.
    Time(i64),
}

/// A value that this engine does not judge: the reference says what is the matter with it.
pub struct Unsure;

impl Spelling {
    /// The spelling of an item of type `item` in a column with the Avro schema `column` (null branch left out).
    ///
    /// None where there is none, or one that this engine does not know.
    pub fn of(item: &str, column: &Json) -> Option<Self> {
        let kind = column.as_str().or_else(|| column["type"].as_str())?;
        let logical = column["logicalType"].as_str();
        let connect = column["connect.name"].as_str();
        Some(match (item, kind, logical) {
            ("string", "string", None) => Self::Text,
            ("integer", "int" | "long", None) => Self::Integer,
            ("decimal", "bytes", Some("decimal")) => {
                let precision = u32::try_from(column["precision"].as_u64()?).ok()?;
                let scale = u32::try_from(column["scale"].as_u64().unwrap_or(0)).ok()?;
                if precision == 0 || precision > 38 || scale > precision {
                    return None;
                }
                Self::Decimal { precision, scale }
            }
            ("double", "double", None) => Self::Double,
            ("double", "float", None) => Self::Float,
            ("boolean", "boolean", None) => Self::Boolean,
            ("date", "int", None | Some("date")) => Self::Date,
            ("timestamp", "long", None) if connect == Some("io.debezium.time.MicroTimestamp") => Self::Micros,
            ("timestamp", "long", None) if connect == Some("io.debezium.time.Timestamp") => Self::Millis,
            ("timestamp", "long", Some("timestamp-micros")) if !debezium_time(connect) => Self::Micros,
            ("timestamp", "long", Some("timestamp-millis")) if !debezium_time(connect) => Self::Millis,
            ("timestamp", "string", None) if !debezium_time(connect) => Self::Zoned,
            _ => return None,
        })
    }

    /// The value whose Avro bytes (a text's or number's length left out) are `body`.
    pub fn read(self, body: &[u8]) -> Result<Value<'_>, Unsure> {
        Ok(match self {
            Self::Text => Value::Text(text(body)),
            Self::Integer => Value::Integer(varint(body)),
            Self::Decimal { precision, scale } => {
                let unscaled = twos_complement(body).ok_or(Unsure)?;
                if unscaled.unsigned_abs() >= 10u128.pow(precision) {
                    return Err(Unsure);
                }
                Value::Decimal { unscaled, scale }
            }
            Self::Double => Value::Double(f64::from_le_bytes(body.try_into().map_err(|_| Unsure)?)),
            Self::Float => Value::Double(f64::from(f32::from_le_bytes(body.try_into().map_err(|_| Unsure)?))),
            Self::Boolean => Value::Boolean(body == [1]),
            Self::Date => Value::Date(within(varint(body), DAYS)?),
            Self::Micros => Value::Time(within(varint(body), MICROS)?),
            Self::Millis => Value::Time(within(varint(body).checked_mul(1_000).ok_or(Unsure)?, MICROS)?),
            Self::Zoned => Value::Time(zoned(body).ok_or(Unsure)?),
        })
    }

    /// Whether values are spelt in a share topic as in a change, so that their bytes may stand there: all of them, or
    /// those for which `stands` says so.
    pub fn copies(self) -> bool {
        !matches!(self, Self::Float | Self::Millis | Self::Zoned)
    }

    /// Whether these bytes are surely a value, spelt as a share topic has it. Of others, `read` says what they are.
    #[inline]
    pub fn stands(self, body: &[u8]) -> bool {
        match self {
            Self::Date => body.len() <= 2 || DAYS.contains(&varint(body)),
            Self::Micros => body.len() <= 8 || MICROS.contains(&varint(body)),
            Self::Decimal { precision, .. } => match body {
                // 12 bytes say less than 29 digits can; not negative, and no byte more than it takes
                [first, rest @ ..] => {
                    body.len() * 29 <= precision as usize * 12
                        && *first < 0x80
                        && (*first > 0 || rest.first().is_none_or(|next| *next >= 0x80))
                }
                [] => false,
            },
            _ => true,
        }
    }
}

impl Value<'_> {
    /// Write the value as a share topic has it.
    pub fn put(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Text(text) => put_bytes(out, text.as_bytes()),
            Self::Integer(number) | Self::Date(number) | Self::Time(number) => put_long(out, number),
            Self::Decimal { unscaled, .. } => {
                let bits = 128 - unscaled.unsigned_abs().leading_zeros() as usize;
                let bytes = unscaled.to_be_bytes();
                put_bytes(out, &bytes[bytes.len() - (bits + 8) / 8..]);
            }
            Self::Double(number) => out.extend_from_slice(&number.to_le_bytes()),
            Self::Boolean(truth) => out.push(u8::from(truth)),
        }
    }

    /// Bytes that tell values and types apart, for pseudonyms: 1 and "1" differ.
    pub fn canonical(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        // writing into a Vec cannot fail
        let _ = match *self {
            Self::Text(text) => write!(out, "s{text}"),
            Self::Integer(number) => write!(out, "i{number}"),
            Self::Decimal { unscaled, scale } => write!(out, "n{}", plain(unscaled, scale)),
            Self::Double(number) => write!(out, "f{}", hex_float(number)),
            Self::Boolean(truth) => write!(out, "b{}", u8::from(truth)),
            Self::Date(days) => write!(out, "d{}", iso_date(days)),
            Self::Time(micros) => {
                let (days, rest) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
                let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
                let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
                let begun = write!(out, "t{}T{hour:02}:{minute:02}:{second:02}", iso_date(days));
                let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
                begun.and_then(|()| write!(out, "{fraction}+00:00"))
            }
        };
    }
}

/// Year and month of a date or time.
pub fn year_month(value: &Value<'_>) -> Option<(i64, u32)> {
    let days = match *value {
        Value::Date(days) => days,
        Value::Time(micros) => micros.div_euclid(DAY_MICROS),
        _ => return None,
    };
    let (year, month, _) = civil(days);
    Some((year, month))
}

fn debezium_time(connect: Option<&str>) -> bool {
    matches!(connect, Some("io.debezium.time.MicroTimestamp" | "io.debezium.time.Timestamp"))
}

fn within(value: i64, range: std::ops::RangeInclusive<i64>) -> Result<i64, Unsure> {
    if range.contains(&value) { Ok(value) } else { Err(Unsure) }
}

/// A text that the walk has found to be UTF-8.
fn text(body: &[u8]) -> &str {
    debug_assert!(std::str::from_utf8(body).is_ok());
    // SAFETY: every text is checked by `Cursor::text` before a slot points to it, and nobody writes into a change.
    unsafe { std::str::from_utf8_unchecked(body) }
}

/// A number that the walk has found to be a varint.
fn varint(body: &[u8]) -> i64 {
    let value = body.iter().rev().fold(0u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

fn twos_complement(body: &[u8]) -> Option<i128> {
    let sign = if body.first()? & 0x80 != 0 { 0xff } else { 0x00 };
    let kept = body.len().min(16);
    let (extra, rest) = body.split_at(body.len() - kept);
    let mut bytes = [sign; 16];
    bytes[16 - kept..].copy_from_slice(rest);
    let agrees = extra.iter().all(|&byte| byte == sign) && (bytes[0] & 0x80 != 0) == (sign == 0xff);
    agrees.then(|| i128::from_be_bytes(bytes))
}

/// Days since 1970-01-01 to the proleptic Gregorian calendar (Howard Hinnant, chrono-compatible low-level date algorithms).
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

fn iso_date(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The usual form only, `2018-06-20T13:37:03[.f…]Z` or with `±hh:mm`; every other is the reference's to judge.
fn zoned(body: &[u8]) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = body.get(range)?;
        digits.iter().try_fold(0i64, |sum, &byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let sign = |at: usize, byte: u8| (body.get(at) == Some(&byte)).then_some(());
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    sign(4, b'-').and(sign(7, b'-')).and(sign(10, b'T')).and(sign(13, b':')).and(sign(16, b':'))?;
    let mut at = 19;
    let mut micros = 0;
    if body.get(at) == Some(&b'.') {
        let digits = body[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=6).contains(&digits) {
            return None;
        }
        micros = number(at + 1..at + 1 + digits)? * 10i64.pow(6 - digits as u32);
        at += 1 + digits;
    }
    let offset = match body.get(at)? {
        b'Z' => {
            at += 1;
            0
        }
        &side @ (b'+' | b'-') => {
            let (hours, minutes) = (number(at + 1..at + 3)?, number(at + 4..at + 6)?);
            sign(at + 3, b':')?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            at += 6;
            (hours * 60 + minutes) * if side == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if at != body.len() || year == 0 || !(1..=longest).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset * 60;
    within(seconds * 1_000_000 + micros, MICROS).ok()
}

/// A decimal without trailing zeros and without an exponent.
fn plain(unscaled: i128, scale: u32) -> String {
    let (mut digits, mut scale) = (unscaled.unsigned_abs().to_string(), scale as usize);
    while scale > 0 && digits.len() > 1 && digits.ends_with('0') {
        digits.pop();
        scale -= 1;
    }
    if digits == "0" {
        scale = 0;
    }
    if scale > 0 {
        if digits.len() <= scale {
            digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
        }
        digits.insert(digits.len() - scale, '.');
    }
    if unscaled < 0 { format!("-{digits}") } else { digits }
}

/// A float as Python's `float.hex` writes it.
fn hex_float(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_infinite() {
        return format!("{sign}inf");
    }
    let bits = number.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i64, bits & ((1 << 52) - 1));
    if exponent == 0 && fraction == 0 {
        return format!("{sign}0x0.0p+0");
    }
    let (lead, exponent) = if exponent == 0 { (0, -1_022) } else { (1, exponent - 1_023) };
    format!("{sign}0x{lead}.{fraction:013x}p{exponent:+}")
}
