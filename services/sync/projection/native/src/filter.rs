//! Row filters over values, with SQL's logic: a comparison with a value that is missing is unknown (None).

use crate::value::Value;
use serde_json::Value as Json;
use std::cmp::Ordering;

/// A value that a filter compares with.
#[derive(Debug, Clone)]
enum Constant {
    Text(String),
    Integer(i128),
    Decimal { unscaled: i128, scale: u32 },
    Boolean(bool),
    Date(i64),
    Time(i64),
}

#[derive(Debug, Clone)]
enum Node {
    /// Where the item stands among the filter's columns, the test of an ordering, and what it is compared with.
    Compare(usize, Test, Constant),
    StartsWith(usize, String),
    In(usize, Vec<Constant>),
    IsNull(usize),
    Not(Box<Node>),
    /// True: `or`, false: `and`.
    Join(bool, Box<Node>, Box<Node>),
}

type Test = fn(Ordering) -> bool;

#[derive(Debug, Clone)]
pub struct Filter(Node);

impl Filter {
    /// The filter that `json` says; Err names what this engine cannot judge.
    pub fn of(json: &Json) -> Result<Self, String> {
        node(json).map(Self).ok_or_else(|| format!("a filter with {json}"))
    }

    /// Whether a row may be seen; `value` gives its values by the number of the filter's column.
    #[inline]
    pub fn matches<'v>(&self, value: impl Fn(usize) -> Option<Value<'v>>) -> bool {
        truth(&self.0, &value) == Some(true)
    }
}

fn node(json: &Json) -> Option<Node> {
    let (word, inside) = json.as_object()?.iter().next()?;
    let item = || usize::try_from(inside[0].as_u64()?).ok();
    Some(match word.as_str() {
        "compare" if inside[1] == "starts with" => match constant(&inside[2])? {
            Constant::Text(text) => Node::StartsWith(item()?, text),
            _ => return None,
        },
        "compare" => Node::Compare(item()?, test(inside[1].as_str()?)?, constant(&inside[2])?),
        "in" => Node::In(item()?, inside[1].as_array()?.iter().map(constant).collect::<Option<_>>()?),
        "null" => Node::IsNull(item()?),
        "not" => Node::Not(Box::new(node(inside)?)),
        "and" | "or" => Node::Join(word == "or", Box::new(node(&inside[0])?), Box::new(node(&inside[1])?)),
        _ => return None,
    })
}

fn test(operator: &str) -> Option<Test> {
    Some(match operator {
        "=" => Ordering::is_eq,
        "!=" => Ordering::is_ne,
        "<" => Ordering::is_lt,
        "<=" => Ordering::is_le,
        ">" => Ordering::is_gt,
        ">=" => Ordering::is_ge,
        _ => return None,
    })
}

fn constant(json: &Json) -> Option<Constant> {
    let (kind, inside) = json.as_object()?.iter().next()?;
    let number = |json: &Json| json.as_str()?.parse::<i128>().ok();
    Some(match kind.as_str() {
        "text" => Constant::Text(inside.as_str()?.to_owned()),
        "integer" => Constant::Integer(number(inside)?),
        "decimal" => {
            let scale = u32::try_from(inside[1].as_u64()?).ok().filter(|scale| *scale <= 19)?;
            Constant::Decimal { unscaled: number(&inside[0])?, scale }
        }
        "boolean" => Constant::Boolean(inside.as_bool()?),
        "date" => Constant::Date(inside.as_i64()?),
        "time" => Constant::Time(inside.as_i64()?),
        _ => return None,
    })
}

fn truth<'v>(node: &Node, value: &impl Fn(usize) -> Option<Value<'v>>) -> Option<bool> {
    match node {
        Node::Compare(item, test, constant) => value(*item).map(|found| test(compare(found, constant))),
        Node::StartsWith(item, start) => {
            value(*item).map(|found| matches!(found, Value::Text(text) if text.starts_with(start.as_str())))
        }
        Node::In(item, constants) => {
            value(*item).map(|found| constants.iter().any(|constant| compare(found, constant).is_eq()))
        }
        Node::IsNull(item) => Some(value(*item).is_none()),
        Node::Not(inner) => truth(inner, value).map(|truth| !truth),
        Node::Join(settles, left, right) => {
            let first = truth(left, value);
            if first == Some(*settles) {
                return first;
            }
            let second = truth(right, value);
            if second == Some(*settles) {
                return second;
            }
            first.and(second).map(|_| !settles)
        }
    }
}

/// The order of a value and a constant; demand and the plan see to it that they are of one kind.
fn compare(found: Value<'_>, constant: &Constant) -> Ordering {
    match (found, constant) {
        (Value::Text(a), Constant::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Integer(a), Constant::Integer(b)) => i128::from(a).cmp(b),
        (Value::Decimal { unscaled, scale }, Constant::Integer(b)) => decimals((unscaled, scale), (*b, 0)),
        (Value::Decimal { unscaled, scale }, Constant::Decimal { unscaled: b, scale: places }) => {
            decimals((unscaled, scale), (*b, *places))
        }
        (Value::Boolean(a), Constant::Boolean(b)) => a.cmp(b),
        (Value::Date(a), Constant::Date(b)) | (Value::Time(a), Constant::Time(b)) => a.cmp(b),
        _ => unreachable!("a filter's types are checked against the contract when it is compiled"),
    }
}

/// The order of two decimals (unscaled, scale) whose scales are 38 and 19 at most.
fn decimals(a: (i128, u32), b: (i128, u32)) -> Ordering {
    let (unit_a, unit_b) = (10i128.pow(a.1), 10i128.pow(b.1));
    let whole = a.0.div_euclid(unit_a).cmp(&b.0.div_euclid(unit_b));
    // below the point there are at most 38 digits on one side; what is beyond 19 of them decides only ties
    whole.then_with(|| {
        let (rest_a, rest_b) = (a.0.rem_euclid(unit_a), b.0.rem_euclid(unit_b));
        if a.1 <= 19 {
            return (rest_a * unit_b).cmp(&(rest_b * unit_a));
        }
        let fine = 10i128.pow(a.1 - 19);
        let coarse = (rest_a / fine).cmp(&(rest_b * 10i128.pow(19 - b.1)));
        coarse.then((rest_a % fine).cmp(&0))
    })
}
