//! Writing in transactions of version 2 (KIP-890): what is said first to a partition, or of offsets, makes it part of the
//! transaction, and each end begins another epoch of the producer.
//!
//! After a failure a writer is of no more use, for what came of its transaction is not known; another one of the same
//! transactional id ends it and fences whatever was still in flight.

use crate::batches::{Batch, Header};
use crate::cluster::{COORDINATES_GROUPS, COORDINATES_TRANSACTIONS, Cluster, name_of};
use crate::connection::{Connection, Error, Login, Result, said};
use crate::fetching::Partition;
use crate::placing::partition_of;
use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, EndTxnRequest, GroupId, InitProducerIdRequest, ProduceRequest, TransactionalId,
    TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PRODUCE: i16 = 12;
const INIT_PRODUCER_ID: i16 = 5;
const TXN_OFFSET_COMMIT: i16 = 5;
const END_TXN: i16 = 5;
/// The transaction before is not quite over, or takes in another partition just now (which a coordinator of groups calls
/// its own loading, as it does call that).
const NOT_YET: [i16; 2] = [51, 14];
/// The coordinator is another one by now, or is not known.
const COORDINATED_ELSEWHERE: [i16; 2] = [15, 16];
/// Unknown topic, leader not available, not the leader, too few in step: nothing was written.
const NOT_WRITTEN: [i16; 4] = [3, 5, 6, 19];
const SHORTEST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Memory that is kept, in batches.
const MOST_ROOMS: usize = 16;
const MOST_BYTES_A_REQUEST: usize = 8 << 20;

/// Whose offsets go into a transaction: a group, and who we are in it.
pub struct Group {
    pub name: String,
    pub member: String,
    pub generation: i32,
}

/// What a partition gets in the open transaction.
#[derive(Default)]
struct Outgoing {
    batches: VecDeque<Batch>,
    /// The offsets of the first and the last record, as acknowledged.
    ends: Option<(i64, i64)>,
}

pub struct Writer {
    cluster: Cluster,
    id: String,
    transaction_timeout: Duration,
    producer: (i64, i16),
    sequences: HashMap<Partition, i32>,
    outgoing: BTreeMap<Partition, Outgoing>,
    rooms: Rooms,
    offsets: Option<(Group, Vec<(Partition, i64, String)>)>,
    leaders: HashMap<i32, Connection>,
    transactions: Option<Connection>,
    groups: Option<(String, Connection)>,
    /// Whether a broker may have heard of the open transaction.
    is_begun: bool,
}

impl Writer {
    /// A writer of a transactional id, in a new epoch: what others of this id had in flight is fenced.
    pub fn new(login: Login, id: &str, transaction_timeout: Duration) -> Result<Self> {
        let mut writer = Self {
            cluster: Cluster::new(Arc::new(login)),
            id: id.to_owned(),
            transaction_timeout,
            producer: (-1, -1),
            sequences: HashMap::new(),
            outgoing: BTreeMap::new(),
            rooms: Rooms::default(),
            offsets: None,
            leaders: HashMap::new(),
            transactions: None,
            groups: None,
            is_begun: false,
        };
        writer.require_version_2()?;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(StrBytes::from_string(id.to_owned()))))
            .with_transaction_timeout_ms(transaction_timeout.as_millis() as i32)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let told = writer.settled(&request, INIT_PRODUCER_ID, |told| told.error_code, "to begin an epoch")?;
        writer.producer = (told.producer_id.0, told.producer_epoch);
        Ok(writer)
    }

    fn require_version_2(&mut self) -> Result<()> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("tongshu"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let told = self.cluster.anyone(|one| one.ask(&request, 3))?;
        said(told.error_code, "which versions it speaks")?;
        let version = told
            .finalized_features
            .iter()
            .find(|one| one.name.as_str() == "transaction.version")
            .map_or(0, |one| one.max_version_level);
        if version < 2 {
            return Err(Error::Said(35, format!("transaction.version is {version}, and must be 2")));
        }
        Ok(())
    }

    /// Add a record to the open transaction; where `partition` is none of a topic's, by the key.
    pub fn add(
        &mut self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<()> {
        let partition = match partition {
            Some(partition) => partition,
            None => partition_of(key.unwrap_or_default(), self.partitions(topic)?) as i32,
        };
        let outgoing = self.outgoing.entry((topic.to_owned(), partition)).or_default();
        self.rooms.add(&mut outgoing.batches, key, value, headers);
        Ok(())
    }

    /// What gathers records for a partition.
    pub fn gather(&self) -> Records {
        Records { rooms: self.rooms.clone(), ..Records::default() }
    }

    /// Add records to the open transaction. They are taken from where they were gathered.
    pub fn deliver(&mut self, topic: &str, partition: i32, records: &mut Records) {
        let outgoing = self.outgoing.entry((topic.to_owned(), partition)).or_default();
        outgoing.batches.append(&mut records.batches);
    }

    fn partitions(&mut self, topic: &str) -> Result<usize> {
        if self.cluster.partitions(topic).is_none() {
            self.cluster.learn([topic].into_iter())?;
        }
        self.cluster.partitions(topic).ok_or_else(|| Error::Said(3, format!("there is no topic {topic}")))
    }

    /// Have these offsets committed with the transaction: partition, offset, metadata.
    pub fn send_offsets(&mut self, group: Group, offsets: Vec<(Partition, i64, String)>) {
        self.offsets = Some((group, offsets));
    }

    /// Write what was added and the offsets that were given, and wait until it is acknowledged.
    pub fn flush(&mut self) -> Result<()> {
        let mut patience = self.patience();
        self.write(&mut patience)?;
        // only now: a transaction that takes in two partitions at the same time keeps one of them waiting for longer
        if let Some((group, offsets)) = self.offsets.take() {
            self.is_begun = true;
            let request = self.offset_request(&group, &offsets);
            loop {
                let code = worst(&self.group_coordinator(&group.name)?.ask(&request, TXN_OFFSET_COMMIT)?);
                if COORDINATED_ELSEWHERE.contains(&code) {
                    self.groups = None;
                }
                if !patience.waits(code) {
                    said(code, "to commit offsets")?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// The offsets of the first and the last record that a partition got in this transaction, once it is flushed.
    pub fn ends(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        self.outgoing.get(&(topic.to_owned(), partition)).and_then(|one| one.ends)
    }

    /// Begin the next transaction, once the one before is committed.
    pub fn begin(&mut self) {
        self.outgoing.clear();
    }

    /// Commit what is flushed.
    pub fn commit(&mut self) -> Result<()> {
        self.flush()?;
        if !self.is_begun {
            return Ok(());
        }
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(StrBytes::from_string(self.id.clone())))
            .with_producer_id(self.producer.0.into())
            .with_producer_epoch(self.producer.1)
            .with_committed(true);
        let told = self.settled(&request, END_TXN, |told| told.error_code, "to commit")?;
        self.producer = (told.producer_id.0, told.producer_epoch);
        self.sequences.clear();
        self.is_begun = false;
        Ok(())
    }

    // -- records -----------------------------------------------------------------------------------------------------

    fn write(&mut self, patience: &mut Patience) -> Result<()> {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        loop {
            let round = self.round()?;
            if round.is_empty() {
                return Ok(());
            }
            self.is_begun = true;
            self.write_round(round, timestamp, patience)?;
        }
    }

    /// The next batch of each partition, as many as fit into a request, by the brokers that lead them.
    fn round(&mut self) -> Result<HashMap<i32, Vec<(Partition, Batch)>>> {
        let (mut found, mut size) = (HashMap::<i32, Vec<(Partition, Batch)>>::new(), 0);
        let waiting: Vec<Partition> = self
            .outgoing
            .iter()
            .filter(|(_, one)| !one.batches.is_empty())
            .map(|(partition, _)| partition.clone())
            .collect();
        self.learn_leaders(waiting.iter())?;
        for partition in waiting {
            let leader = self.cluster.leader(&partition.0, partition.1);
            let leader =
                leader.ok_or_else(|| Error::Said(5, format!("{}/{} has no leader", partition.0, partition.1)))?;
            let batch = self.outgoing.get_mut(&partition).and_then(|one| one.batches.pop_front());
            let Some(batch) = batch else { continue };
            size += batch.size();
            found.entry(leader).or_default().push((partition, batch));
            if size > MOST_BYTES_A_REQUEST {
                break;
            }
        }
        Ok(found)
    }

    fn learn_leaders<'a>(&mut self, partitions: impl Iterator<Item = &'a Partition>) -> Result<()> {
        let unknown: Vec<&str> = partitions
            .filter(|(topic, number)| self.cluster.leader(topic, *number).is_none())
            .map(|(topic, _)| topic.as_str())
            .collect();
        if unknown.is_empty() { Ok(()) } else { self.cluster.learn(unknown.into_iter()) }
    }

    fn write_round(
        &mut self,
        round: HashMap<i32, Vec<(Partition, Batch)>>,
        timestamp: i64,
        patience: &mut Patience,
    ) -> Result<()> {
        let mut asked = Vec::new();
        for (leader, batches) in round {
            let mut data = Vec::with_capacity(batches.len());
            for (partition, batch) in batches {
                let sequence = self.sequences.entry(partition.clone()).or_default();
                data.push((partition, batch.built(self.producer, *sequence, timestamp)?, batch.count));
                *sequence += batch.count;
                self.rooms.give_back(batch);
            }
            let request = self.produce_request(&data);
            self.leader(leader)?.send(&request, PRODUCE)?;
            asked.push((leader, data));
        }
        let mut again = Vec::new();
        for (leader, data) in asked {
            let told = self.leader(leader)?.receive::<ProduceRequest>(PRODUCE)?;
            again.extend(self.acknowledge(told, data, patience)?);
        }
        // what was not written yet is said again, in its order, before anything that comes after it
        while !again.is_empty() {
            self.learn_leaders(again.iter().map(|(partition, ..)| partition))?;
            let mut rest = Vec::new();
            for one in again {
                let leader = self.cluster.leader(&one.0.0, one.0.1).ok_or_else(|| Error::Said(5, one.0.0.clone()))?;
                let data = vec![one];
                let request = self.produce_request(&data);
                let told = self.leader(leader)?.ask(&request, PRODUCE)?;
                rest.extend(self.acknowledge(told, data, patience)?);
            }
            again = rest;
        }
        Ok(())
    }

    fn produce_request(&self, data: &[(Partition, Bytes, i32)]) -> ProduceRequest {
        let mut topics: BTreeMap<&str, Vec<PartitionProduceData>> = BTreeMap::new();
        for ((topic, number), records, _) in data {
            let one = PartitionProduceData::default().with_index(*number).with_records(Some(records.clone()));
            topics.entry(topic).or_default().push(one);
        }
        let topics = topics
            .into_iter()
            .map(|(name, data)| TopicProduceData::default().with_name(name_of(name)).with_partition_data(data));
        ProduceRequest::default()
            .with_transactional_id(Some(TransactionalId(StrBytes::from_string(self.id.clone()))))
            .with_acks(-1)
            .with_timeout_ms(self.cluster.login.timeout.as_millis() as i32)
            .with_topic_data(topics.collect())
    }

    /// Note what was written; what was not, and may be said again, is given back.
    fn acknowledge(
        &mut self,
        told: kafka_protocol::messages::ProduceResponse,
        data: Vec<(Partition, Bytes, i32)>,
        patience: &mut Patience,
    ) -> Result<Vec<(Partition, Bytes, i32)>> {
        let mut answers: HashMap<Partition, (i16, i64)> = HashMap::new();
        for topic in told.responses {
            for one in topic.partition_responses {
                answers.insert((topic.name.0.to_string(), one.index), (one.error_code, one.base_offset));
            }
        }
        let mut again = Vec::new();
        for (partition, records, count) in data {
            let name = || format!("{}/{}", partition.0, partition.1);
            let (code, base) =
                *answers.get(&partition).ok_or_else(|| Error::Lost(format!("{} was not answered", name())))?;
            if code == 0 {
                let outgoing = self.outgoing.entry(partition).or_default();
                let last = base + i64::from(count) - 1;
                outgoing.ends = Some((outgoing.ends.map_or(base, |(first, _)| first), last));
            } else if patience.waits(code) {
                if NOT_WRITTEN.contains(&code) {
                    self.cluster.learn([partition.0.as_str()].into_iter())?;
                }
                again.push((partition, records, count));
            } else {
                return Err(Error::Said(code, name()));
            }
        }
        Ok(again)
    }

    // -- whom to ask -------------------------------------------------------------------------------------------------

    fn leader(&mut self, broker: i32) -> Result<&mut Connection> {
        if !self.leaders.contains_key(&broker) {
            let connection = Connection::open(&self.cluster.login, &self.cluster.address(broker)?)?;
            self.leaders.insert(broker, connection);
        }
        Ok(self.leaders.get_mut(&broker).expect("it was just made"))
    }

    fn coordinator(&mut self) -> Result<&mut Connection> {
        if self.transactions.is_none() {
            self.transactions = Some(self.cluster.coordinator(COORDINATES_TRANSACTIONS, &self.id)?);
        }
        Ok(self.transactions.as_mut().expect("it was just made"))
    }

    fn group_coordinator(&mut self, group: &str) -> Result<&mut Connection> {
        if self.groups.as_ref().is_none_or(|(name, _)| name != group) {
            self.groups = Some((group.to_owned(), self.cluster.coordinator(COORDINATES_GROUPS, group)?));
        }
        Ok(&mut self.groups.as_mut().expect("it was just made").1)
    }

    fn offset_request(&self, group: &Group, offsets: &[(Partition, i64, String)]) -> TxnOffsetCommitRequest {
        let mut topics: BTreeMap<&str, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
        for ((topic, number), offset, metadata) in offsets {
            let one = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(*number)
                .with_committed_offset(*offset)
                .with_committed_metadata(Some(StrBytes::from_string(metadata.clone())));
            topics.entry(topic).or_default().push(one);
        }
        let topics = topics.into_iter().map(|(name, partitions)| {
            TxnOffsetCommitRequestTopic::default().with_name(name_of(name)).with_partitions(partitions)
        });
        TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(StrBytes::from_string(self.id.clone())))
            .with_group_id(GroupId(StrBytes::from_string(group.name.clone())))
            .with_producer_id(self.producer.0.into())
            .with_producer_epoch(self.producer.1)
            .with_generation_id(group.generation)
            .with_member_id(StrBytes::from_string(group.member.clone()))
            .with_topics(topics.collect())
    }

    /// What the coordinator of transactions says in the end; it is asked again where it had better be.
    fn settled<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        code: fn(&R::Response) -> i16,
        about: &str,
    ) -> Result<R::Response> {
        let mut patience = self.patience();
        loop {
            let told = self.coordinator()?.ask(request, version)?;
            if COORDINATED_ELSEWHERE.contains(&code(&told)) {
                self.transactions = None;
            }
            if !patience.waits(code(&told)) {
                return said(code(&told), about).map(|()| told);
            }
        }
    }

    fn patience(&self) -> Patience {
        Patience { until: Instant::now() + self.transaction_timeout, pause: SHORTEST_PAUSE }
    }
}

/// Memory of batches that are written, for the next ones.
#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<Vec<Vec<u8>>>>);

impl Rooms {
    /// Add a record behind the last of `batches`.
    fn add(&self, batches: &mut VecDeque<Batch>, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) {
        let bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        if batches.back().is_none_or(|last| last.is_full_for(bytes)) {
            let room = self.0.lock().expect("no thread has panicked").pop();
            batches.push_back(Batch::within(room.unwrap_or_default()));
        }
        batches.back_mut().expect("it was just made").add(key, value, headers);
    }

    fn give_back(&self, batch: Batch) {
        let mut rooms = self.0.lock().expect("no thread has panicked");
        if rooms.len() < MOST_ROOMS {
            rooms.push(batch.into_room());
        }
    }
}

/// Records for a partition, as they are gathered: in the batches in which they will be written.
#[derive(Default)]
pub struct Records {
    batches: VecDeque<Batch>,
    rooms: Rooms,
    count: usize,
}

impl Records {
    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.rooms.add(&mut self.batches, Some(key), value, &[]);
        self.count += 1;
    }

    /// How many were added, be they delivered by now.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Keys and values from number `first` on; none of those that were delivered.
    pub fn from(&self, first: usize) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut before = 0;
        self.batches.iter().flat_map(move |batch| {
            let passed = first.saturating_sub(before);
            before += batch.count as usize;
            // a batch that is passed over as a whole is not read
            let records = if passed < batch.count as usize { batch.records() } else { Vec::new() };
            records.into_iter().skip(passed)
        })
    }

    /// Give record `number` a header.
    pub fn put_header(&mut self, number: usize, header: Header<'_>) {
        let mut before = 0;
        for batch in &mut self.batches {
            let count = batch.count as usize;
            if let Some(place) = number.checked_sub(before).filter(|place| *place < count) {
                let mut with = Batch::within(Vec::with_capacity(batch.size() + 256));
                for (at, (key, value)) in batch.records().into_iter().enumerate() {
                    let headers = if at == place { &[header][..] } else { &[] };
                    with.add(Some(key), value, headers);
                }
                *batch = with;
                return;
            }
            before += count;
        }
    }
}

/// For how long what may be asked again is asked again.
struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    /// Whether what was answered by `code` may be asked again, now that a pause is over.
    fn waits(&mut self, code: i16) -> bool {
        let passes = [&NOT_YET[..], &COORDINATED_ELSEWHERE, &NOT_WRITTEN].iter().any(|codes| codes.contains(&code));
        let waits = passes && Instant::now() < self.until;
        if waits {
            thread::sleep(self.pause);
            self.pause = LONGEST_PAUSE.min(self.pause * 2);
        }
        waits
    }
}

/// The code that matters most of an answer: one that cannot be mended, before one that waits.
fn worst(told: &kafka_protocol::messages::TxnOffsetCommitResponse) -> i16 {
    let codes =
        told.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code).filter(|code| *code != 0);
    codes.max_by_key(|code| !NOT_YET.contains(code)).unwrap_or(0)
}
