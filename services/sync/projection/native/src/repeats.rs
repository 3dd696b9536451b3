//! What the source's log has said before: `services/sync/relay/repeats.py`, read from bytes.

/// How far a partition of a change topic has been read in terms of the source's log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    pub committed: i64,
    pub lsn: i64,
    pub ops: Ops,
    pub until_us: i64,
}

/// The operations seen at one position, in their order; each at most once, so there is room for all that exist.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ops {
    letters: [u8; 8],
    count: u8,
}

impl Ops {
    pub fn of(letters: &str) -> Self {
        let mut ops = Self::default();
        letters.bytes().for_each(|letter| ops.add(letter));
        ops
    }

    pub fn text(&self) -> String {
        self.seen().iter().map(|letter| char::from(*letter)).collect()
    }

    fn seen(&self) -> &[u8] {
        &self.letters[..usize::from(self.count)]
    }

    fn add(&mut self, letter: u8) {
        if let Some(place) = self.letters.get_mut(usize::from(self.count)) {
            *place = letter;
            self.count += 1;
        }
    }
}

pub enum Said {
    New,
    Before,
    /// A sequence that is not as Debezium writes it.
    Unsure,
}

impl Mark {
    /// Whether a change has been said before; if not, the mark moves on.
    pub fn hears(&mut self, op: u8, sequence: Option<&[u8]>, micros: Option<i64>) -> Said {
        let (Some(sequence), Some(at_us)) = (sequence.filter(|text| !text.is_empty()), micros) else { return Said::New };
        if op == b'r' {
            return Said::New;
        }
        let Some((committed, lsn)) = places(sequence) else { return Said::Unsure };
        let (place, marked) = ((committed, lsn), (self.committed, self.lsn));
        let seen = at_us <= self.until_us;
        if seen && (place < marked || (place == marked && self.ops.seen().contains(&op))) {
            return Said::Before;
        }
        if !(seen && place == marked) {
            self.ops = Ops::default();
        }
        self.ops.add(op);
        (self.committed, self.lsn, self.until_us) = (committed, lsn, at_us.max(self.until_us));
        Said::New
    }
}

/// The numbers of `["24023119","24023128"]`; null and an empty text count as 0.
fn places(sequence: &[u8]) -> Option<(i64, i64)> {
    let rest = sequence.strip_prefix(b"[")?;
    let (first, rest) = place(rest)?;
    let (second, rest) = place(rest.strip_prefix(b",")?)?;
    (rest == b"]").then_some((first, second))
}

/// The number at the beginning, and what comes behind it.
fn place(text: &[u8]) -> Option<(i64, &[u8])> {
    if let Some(rest) = text.strip_prefix(b"null") {
        return Some((0, rest));
    }
    let text = text.strip_prefix(b"\"")?;
    let digits = text.iter().take_while(|digit| digit.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let add = |number: i64, digit: &u8| number.checked_mul(10)?.checked_add(i64::from(digit - b'0'));
    Some((digits.iter().try_fold(0, add)?, rest.strip_prefix(b"\"")?))
}
