//! A contract's rules on the stream: the changes that need no second look. What a rule means is `services/core/quality.py`'s;
//! a change that breaks any, or of which anything is unsure, is left to it.

use crate::filter::Filter;
use crate::plan::{Column, Plan};
use crate::repeats::{Mark, Said};
use crate::value::{Spelling, UNAVAILABLE, Value};
use crate::walk::{Found, Slot, walk};
use regex::Regex;
use serde_json::Value as Json;

const USCC: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const USCC_WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
const ID_CHECK: &[u8; 11] = b"10X98765432";
const ID_WEIGHTS: [usize; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

enum Check {
    /// Which rows break the rule.
    Breaks(Filter),
    Pattern(usize, Regex),
    Uscc(usize),
    CitizenId(usize),
}

struct Rule {
    /// Whether a row that breaks it is set aside.
    stops: bool,
    when: Option<Filter>,
    check: Check,
}

pub struct Rules {
    columns: Vec<Column>,
    rules: Vec<Rule>,
}

pub struct Asked {
    pub start: usize,
    /// None for a lane: there repetitions are not looked for, and only what is set aside is stopped before.
    pub mark: Option<Mark>,
    /// Today, in days since 1970-01-01.
    pub today: i64,
}

pub struct Judged {
    /// The change that needs a second look; the number of changes where none does.
    pub stopped_at: usize,
    /// Rows that were judged before it: new ones, deletes left out.
    pub rows: u64,
    pub mark: Option<Mark>,
}

impl Rules {
    pub fn of(json: &Json, plan: &Plan) -> Result<Self, String> {
        let columns = json["columns"].as_array().ok_or("rules without columns")?;
        let columns = columns.iter().map(|one| plan.column(one)).collect::<Result<_, _>>()?;
        let rules = json["rules"].as_array().ok_or("rules without a list")?;
        Ok(Self { columns, rules: rules.iter().map(rule).collect::<Result<_, _>>()? })
    }

    /// Whether a row breaks a rule: any, or one that stops it.
    fn breaks(&self, values: &[Option<Value<'_>>], today: i64, any: bool) -> bool {
        self.rules.iter().any(|rule| {
            (any || rule.stops)
                && rule.when.as_ref().is_none_or(|when| when.matches(|place| values[place]))
                && rule.check.breaks(values, today)
        })
    }
}

fn rule(json: &Json) -> Result<Rule, String> {
    let filter = |json: &Json| if json.is_null() { Ok(None) } else { Filter::of(json).map(Some) };
    let place = |name: &str| json[name].as_u64().map(|place| place as usize);
    let check = if let Some(breaks) = filter(&json["breaks"])? {
        Check::Breaks(breaks)
    } else if let Some(pattern) = json["pattern"].as_str() {
        let whole = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| error.to_string())?;
        Check::Pattern(place("place").ok_or("a pattern without a place")?, whole)
    } else if let Some(at) = place("uscc") {
        Check::Uscc(at)
    } else if let Some(at) = place("citizen_id") {
        Check::CitizenId(at)
    } else {
        return Err(format!("a rule like {json}"));
    };
    Ok(Rule { stops: json["stops"].as_bool().unwrap_or(true), when: filter(&json["when"])?, check })
}

impl Check {
    fn breaks(&self, values: &[Option<Value<'_>>], today: i64) -> bool {
        let text = |at: usize| match values[at] {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
        match self {
            Self::Breaks(filter) => filter.matches(|place| values[place]),
            Self::Pattern(at, pattern) => text(*at).is_some_and(|text| !pattern.is_match(text)),
            Self::Uscc(at) => text(*at).is_some_and(|text| !is_uscc(text.as_bytes())),
            Self::CitizenId(at) => text(*at).is_some_and(|text| !is_citizen_id(text.as_bytes(), today)),
        }
    }
}

/// GB 32100-2015.
fn is_uscc(code: &[u8]) -> bool {
    let Ok(code) = <&[u8; 18]>::try_from(code) else { return false };
    let mut total = 0;
    for (at, character) in code.iter().enumerate() {
        let Some(value) = USCC.iter().position(|one| one == character) else { return false };
        if at == 17 {
            return value == (31 - total % 31) % 31;
        }
        total += value * USCC_WEIGHTS[at];
    }
    false
}

/// GB 11643-1999, of somebody born by `today`.
fn is_citizen_id(code: &[u8], today: i64) -> bool {
    let Ok(code) = <&[u8; 18]>::try_from(code) else { return false };
    if !code[..17].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = |range: std::ops::Range<usize>| code[range].iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let Some(born) = days_of(number(6..10), number(10..12), number(12..14)) else { return false };
    let total: usize = code[..17].iter().zip(ID_WEIGHTS).map(|(digit, weight)| usize::from(digit - b'0') * weight).sum();
    born <= today && code[17] == ID_CHECK[total % 11]
}

/// Days since 1970-01-01 of a date that exists (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1 || day < 1 || day > days {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

pub fn judge(plan: &Plan, rules: &Rules, changes: &[&[u8]], asked: Asked) -> Judged {
    let (mut found, mut mark, mut rows) = (Found::default(), asked.mark, 0);
    let live = mark.is_some();
    let mut values = Vec::with_capacity(rules.columns.len());
    for (number, data) in changes.iter().enumerate().skip(asked.start) {
        let heard = mark;
        match one(plan, rules, data, asked.today, live, &mut found, &mut mark, &mut values) {
            Some(judged) => rows += u64::from(judged),
            None => return Judged { stopped_at: number, rows, mark: heard },
        }
    }
    Judged { stopped_at: changes.len(), rows, mark }
}

/// Whether a row was judged, and sound; None where somebody has to look.
#[allow(clippy::too_many_arguments)]
fn one<'a>(
    plan: &Plan,
    rules: &Rules,
    data: &'a [u8],
    today: i64,
    live: bool,
    found: &mut Found,
    mark: &mut Option<Mark>,
    values: &mut Vec<Option<Value<'a>>>,
) -> Option<bool> {
    walk(plan, data, found).ok()?;
    if let Some(mark) = mark {
        let sequence = found.sequence.map(|(start, end)| &data[start..end]);
        match mark.hears(found.op, sequence, found.micros) {
            Said::New => {}
            Said::Before => return Some(false),
            Said::Unsure => return None,
        }
    }
    if (found.op == b'd') == found.has_after {
        return None;
    }
    if found.op == b'd' {
        return Some(false);
    }
    let before = found.has_before.then_some(&found.before[..]);
    fill(rules, data, &found.after, before, values)?;
    if rules.breaks(values, today, live) {
        return None;
    }
    if live && found.op == b'u' && found.has_before {
        fill(rules, data, &found.before, None, values)?;
        if rules.breaks(values, today, false) {
            return None;
        }
    }
    Some(true)
}

/// The values that rules look at; None where one is not to be had.
fn fill<'a>(
    rules: &Rules,
    data: &'a [u8],
    row: &[Slot],
    before: Option<&[Slot]>,
    values: &mut Vec<Option<Value<'a>>>,
) -> Option<()> {
    values.clear();
    for column in &rules.columns {
        let mut slot = row[column.place];
        if is_unavailable(*column, slot, data) {
            slot = before?[column.place];
            if is_unavailable(*column, slot, data) {
                return None;
            }
        }
        values.push(if slot.is_null() { None } else { Some(column.spelling.read(slot.body(data)).ok()?) });
    }
    Some(())
}

fn is_unavailable(column: Column, slot: Slot, data: &[u8]) -> bool {
    matches!(column.spelling, Spelling::Text | Spelling::Zoned) && !slot.is_null() && slot.body(data) == UNAVAILABLE
}
