//! Reading partitions from their leaders, ahead of whoever takes what was read.
//!
//! One thread for each broker that leads any. What a broker that cannot be reached would have told is waited for; what it
//! refuses is said to whoever takes next.

use crate::batches::{Aborted, Slice, read};
use crate::cluster::{Cluster, name_of};
use crate::connection::{Connection, Error, Login, Result, said};
use crate::memory;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{FetchRequest, ListOffsetsRequest};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Topic and number.
pub type Partition = (String, i32);

#[derive(Clone, Copy, PartialEq)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

const VERSION: i16 = 12;
const MOST_WAIT: Duration = Duration::from_millis(200);
const MOST_BYTES: i32 = 16 << 20;
const MOST_BYTES_A_PARTITION: i32 = 1 << 20;
/// What is read ahead of whoever takes it, unpacked; when there is so much, no more is asked for.
const AHEAD_BYTES: usize = 16 << 20;
const EARLIEST: i64 = -2;
const OFFSET_OUT_OF_RANGE: i16 = 1;
/// Unknown topic, leader not available, not the leader, replica not available, of another epoch, of a broken disk.
const ELSEWHERE: [i16; 8] = [3, 5, 6, 9, 56, 74, 75, 76];
/// The broker does not know the session any more, or not in this epoch.
const SESSION_OVER: [i16; 2] = [70, 71];
const PAUSE: Duration = Duration::from_millis(100);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

struct Position {
    next: i64,
    /// Which placing this is of: an answer to what was asked for another does not count.
    placed: u64,
}

struct State {
    cluster: Cluster,
    positions: HashMap<Partition, Position>,
    ready: VecDeque<(Partition, Slice)>,
    ready_bytes: usize,
    /// The brokers that have a thread.
    served: HashSet<i32>,
    placings: u64,
    looked_at: Instant,
    failure: Option<Error>,
    is_over: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    isolation: Isolation,
}

/// What is asked of one broker: partition, offset, placing.
type Asked = Vec<(Partition, i64, u64)>;

pub struct Fetcher(Arc<Shared>);

impl Fetcher {
    /// One that reads nothing yet.
    pub fn new(login: Login, isolation: Isolation) -> Self {
        memory::keep();
        let state = State {
            cluster: Cluster::new(Arc::new(login)),
            positions: HashMap::new(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            served: HashSet::new(),
            placings: 0,
            looked_at: Instant::now(),
            failure: None,
            is_over: false,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), isolation }))
    }

    /// Read these partitions from these offsets on; what was read of them before is forgotten.
    pub fn place(&self, at: Vec<(Partition, i64)>) -> Result<()> {
        let mut state = self.0.lock();
        let new: Vec<String> = at.iter().map(|((topic, _), _)| topic.clone()).collect();
        if at.iter().any(|((topic, partition), _)| state.cluster.leader(topic, *partition).is_none()) {
            state.cluster.learn(new.iter().map(String::as_str))?;
        }
        state.placings += 1;
        let placed = state.placings;
        for (partition, next) in at {
            state.forget(&partition);
            state.positions.insert(partition, Position { next, placed });
        }
        serve(&self.0, &mut state);
        self.0.changed.notify_all();
        Ok(())
    }

    /// Read these partitions no more; what was read of them is forgotten.
    pub fn leave(&self, partitions: &[Partition]) {
        let mut state = self.0.lock();
        for one in partitions {
            state.forget(one);
            state.positions.remove(one);
        }
        self.0.changed.notify_all();
    }

    /// The offset before which nothing of a partition is left to be read; None where something waits to be taken.
    pub fn passed(&self, partition: &Partition) -> Option<i64> {
        let state = self.0.lock();
        let waits = state.ready.iter().any(|(one, _)| one == partition);
        state.positions.get(partition).filter(|_| !waits).map(|at| at.next)
    }

    /// Read nothing more.
    pub fn end(&self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }

    /// What was read: whole batches until there are `most` records. The first is waited for, and then for `gather` at most
    /// that there are so many.
    pub fn take(&self, wait: Duration, gather: Duration, most: usize) -> Result<Vec<(Partition, Vec<Slice>)>> {
        let mut state = self.0.lock();
        if state.looked_at.elapsed() > LOOK_AGAIN {
            state.look_for_leaders();
            serve(&self.0, &mut state);
        }
        let nothing = |state: &mut State| state.failure.is_none() && state.ready.is_empty();
        state = self.0.changed.wait_timeout_while(state, wait, nothing).expect("no thread has panicked").0;
        let too_few = |state: &mut State| state.failure.is_none() && state.has_room(most);
        state = self.0.changed.wait_timeout_while(state, gather, too_few).expect("no thread has panicked").0;
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        let (mut taken, mut places, mut count) = (Vec::<(Partition, Vec<Slice>)>::new(), HashMap::new(), 0);
        while count < most
            && let Some((partition, slice)) = state.ready.pop_front()
        {
            count += slice.entries.len();
            state.ready_bytes -= slice.size();
            let place = *places.entry(partition).or_insert_with_key(|partition| {
                taken.push((partition.clone(), Vec::new()));
                taken.len() - 1
            });
            taken[place].1.push(slice);
        }
        self.0.changed.notify_all();
        Ok(taken)
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread has panicked")
    }
}

impl State {
    /// Whether something waits to be taken, and more of it may come until there are `most` records.
    fn has_room(&self, most: usize) -> bool {
        let records: usize = self.ready.iter().map(|(_, slice)| slice.entries.len()).sum();
        (1..most).contains(&records) && self.ready_bytes < AHEAD_BYTES
    }

    fn forget(&mut self, partition: &Partition) {
        self.ready.retain(|(other, slice)| {
            let stays = other != partition;
            self.ready_bytes -= if stays { 0 } else { slice.size() };
            stays
        });
    }

    /// What is to be read from a broker; who was first is last in the next turn, for not all may fit into an answer.
    fn asked_of(&self, broker: i32, turn: usize) -> Asked {
        let led =
            self.positions.iter().filter(|((topic, number), _)| self.cluster.leader(topic, *number) == Some(broker));
        let mut asked: Asked = led.map(|(partition, at)| (partition.clone(), at.next, at.placed)).collect();
        let first = turn % asked.len().max(1);
        asked.rotate_left(first);
        asked
    }

    /// Look for those partitions' leaders that are not known.
    fn look_for_leaders(&mut self) {
        let unknown = |(topic, number): &&Partition| self.cluster.leader(topic, *number).is_none();
        let topics: Vec<String> = self.positions.keys().filter(unknown).map(|(topic, _)| topic.clone()).collect();
        self.looked_at = Instant::now();
        if !topics.is_empty() {
            // where nobody can be asked yet, what was known is tried again
            let _ = self.cluster.learn(topics.iter().map(String::as_str));
        }
    }
}

/// See to it that each broker that leads a partition of ours has its thread.
fn serve(shared: &Arc<Shared>, state: &mut State) {
    let leaders: HashSet<i32> =
        state.positions.keys().filter_map(|(topic, number)| state.cluster.leader(topic, *number)).collect();
    for broker in leaders {
        if state.served.insert(broker) {
            let shared = shared.clone();
            let thread = thread::Builder::new().name(format!("fetch:{broker}"));
            thread.spawn(move || follow(&shared, broker)).expect("a thread can be made");
        }
    }
}

/// Read from a broker until nobody asks any more.
fn follow(shared: &Arc<Shared>, broker: i32) {
    let mut session = None;
    for turn in 0.. {
        let mut state = shared.lock();
        let asked = loop {
            if state.is_over {
                return;
            }
            let asked = if state.ready_bytes < AHEAD_BYTES { state.asked_of(broker, turn) } else { Vec::new() };
            if !asked.is_empty() {
                break asked;
            }
            state = shared.changed.wait(state).expect("no thread has panicked");
        };
        drop(state);
        let done = connected(shared, broker, &mut session)
            .and_then(|session| session.fetch(&asked, shared.isolation))
            .and_then(|told| shared.take_in(told));
        let leads_elsewhere = match done {
            Ok(leads_elsewhere) => leads_elsewhere,
            Err(Error::Lost(_)) => {
                session = None;
                true
            }
            Err(refused) => {
                session = None;
                shared.lock().failure = Some(refused);
                shared.changed.notify_all();
                true
            }
        };
        if leads_elsewhere {
            thread::sleep(PAUSE);
            let mut state = shared.lock();
            let topics: Vec<String> = state.positions.keys().map(|(topic, _)| topic.clone()).collect();
            // where nobody can be asked yet, what was known is tried again
            let _ = state.cluster.learn(topics.iter().map(String::as_str));
            serve(shared, &mut state);
        }
    }
}

fn connected<'a>(shared: &Shared, broker: i32, slot: &'a mut Option<Session>) -> Result<&'a mut Session> {
    if slot.is_none() {
        let state = shared.lock();
        let (login, address) = (state.cluster.login.clone(), state.cluster.address(broker)?);
        drop(state);
        *slot =
            Some(Session { connection: Connection::open(&login, &address)?, id: 0, epoch: 0, known: HashMap::new() });
    }
    Ok(slot.as_mut().expect("it was just made"))
}

/// Of a partition: what was read, and what is asked next; None where another broker leads it.
struct Told {
    partition: Partition,
    placed: u64,
    found: Option<(Vec<Slice>, i64)>,
}

/// What a broker remembers of what it was asked (KIP-227), so that of a thousand partitions only those are spoken of that
/// have something new.
struct Session {
    connection: Connection,
    /// 0: there is none, and everything is said.
    id: i32,
    epoch: i32,
    /// From where the broker reads, as it knows.
    known: HashMap<Partition, i64>,
}

impl Session {
    fn fetch(&mut self, asked: &Asked, isolation: Isolation) -> Result<Vec<Told>> {
        let places: HashMap<&Partition, (i64, u64)> =
            asked.iter().map(|(partition, next, placed)| (partition, (*next, *placed))).collect();
        let answer = self.connection.ask(&self.request(asked, &places, isolation), VERSION)?;
        if SESSION_OVER.contains(&answer.error_code) {
            self.forget();
            return Ok(Vec::new());
        }
        said(answer.error_code, "a fetch")?;
        if answer.session_id == 0 {
            self.forget();
        } else {
            self.epoch = if self.id == 0 || self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
            self.id = answer.session_id;
            self.known = asked.iter().map(|(partition, next, _)| (partition.clone(), *next)).collect();
        }
        let mut told = Vec::new();
        for topic in answer.responses {
            let name = topic.topic.0.as_str();
            for one in topic.partitions {
                let partition = (name.to_owned(), one.partition_index);
                let Some((from, placed)) = places.get(&partition).copied() else { continue };
                let found = match one.error_code {
                    0 => {
                        let aborted = one.aborted_transactions.unwrap_or_default();
                        let aborted = aborted.iter().map(|one| (one.producer_id.0, one.first_offset)).collect();
                        Some(read(one.records.unwrap_or_default(), from, Aborted::of(aborted))?)
                    }
                    OFFSET_OUT_OF_RANGE => Some((Vec::new(), earliest(&mut self.connection, &partition)?)),
                    code if ELSEWHERE.contains(&code) => None,
                    code => return Err(Error::Said(code, format!("{name}/{}", partition.1))),
                };
                told.push(Told { partition, placed, found });
            }
        }
        Ok(told)
    }

    fn request(&self, asked: &Asked, places: &HashMap<&Partition, (i64, u64)>, isolation: Isolation) -> FetchRequest {
        let mut topics: HashMap<&str, Vec<FetchPartition>> = HashMap::new();
        for ((topic, number), next, _) in asked.iter().filter(|(one, next, _)| self.known.get(one) != Some(next)) {
            let one = FetchPartition::default()
                .with_partition(*number)
                .with_fetch_offset(*next)
                .with_partition_max_bytes(MOST_BYTES_A_PARTITION);
            topics.entry(topic).or_default().push(one);
        }
        let mut over: HashMap<&str, Vec<i32>> = HashMap::new();
        for (topic, number) in self.known.keys().filter(|one| !places.contains_key(one)) {
            over.entry(topic).or_default().push(*number);
        }
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| FetchTopic::default().with_topic(name_of(name)).with_partitions(partitions));
        let over = over
            .into_iter()
            .map(|(name, partitions)| ForgottenTopic::default().with_topic(name_of(name)).with_partitions(partitions));
        FetchRequest::default()
            .with_max_wait_ms(MOST_WAIT.as_millis() as i32)
            .with_min_bytes(1)
            .with_max_bytes(MOST_BYTES)
            .with_isolation_level(i8::from(isolation == Isolation::ReadCommitted))
            .with_session_id(self.id)
            .with_session_epoch(self.epoch)
            .with_topics(topics.collect())
            .with_forgotten_topics_data(over.collect())
    }

    fn forget(&mut self) {
        (self.id, self.epoch) = (0, 0);
        self.known.clear();
    }
}

/// Where a partition begins by now.
fn earliest(connection: &mut Connection, (topic, number): &Partition) -> Result<i64> {
    let one = ListOffsetsPartition::default().with_partition_index(*number).with_timestamp(EARLIEST);
    let topic_of = ListOffsetsTopic::default().with_name(name_of(topic)).with_partitions(vec![one]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic_of]);
    let answer = connection.ask(&request, 7)?;
    let found = answer.topics.first().and_then(|one| one.partitions.first());
    let found = found.ok_or_else(|| Error::Lost(format!("where {topic}/{number} begins was not told")))?;
    said(found.error_code, topic)?;
    Ok(found.offset)
}

impl Shared {
    /// Keep what was told of partitions that were not placed anew since; whether any is led by another broker by now.
    fn take_in(&self, told: Vec<Told>) -> Result<bool> {
        let mut state = self.lock();
        let mut leads_elsewhere = false;
        for Told { partition, placed, found } in told {
            let Some(position) = state.positions.get_mut(&partition).filter(|one| one.placed == placed) else {
                continue;
            };
            match found {
                None => leads_elsewhere = true,
                Some((slices, next)) => {
                    position.next = next;
                    state.ready_bytes += slices.iter().map(Slice::size).sum::<usize>();
                    state.ready.extend(slices.into_iter().map(|slice| (partition.clone(), slice)));
                }
            }
        }
        self.changed.notify_all();
        Ok(leads_elsewhere)
    }
}
