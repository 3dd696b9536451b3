//! Who leads which partition, and where it is.

use crate::connection::{Connection, Error, Login, Result, said};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub const COORDINATES_GROUPS: i8 = 0;
pub const COORDINATES_TRANSACTIONS: i8 = 1;
const UNKNOWN_TOPIC: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;

pub struct Cluster {
    pub login: Arc<Login>,
    brokers: HashMap<i32, String>,
    /// The leaders of a topic's partitions by their number.
    topics: HashMap<String, Vec<i32>>,
    /// For what is no broker's own matter.
    any: Option<Connection>,
}

impl Cluster {
    pub fn new(login: Arc<Login>) -> Self {
        Self { login, brokers: HashMap::new(), topics: HashMap::new(), any: None }
    }

    /// Learn of topics what is so now; one that is not there is forgotten.
    pub fn learn<'a>(&mut self, topics: impl Iterator<Item = &'a str>) -> Result<()> {
        let asked = topics.collect::<BTreeSet<_>>().into_iter();
        let asked = asked.map(|name| MetadataRequestTopic::default().with_name(Some(name_of(name)))).collect();
        let request = MetadataRequest::default().with_topics(Some(asked)).with_allow_auto_topic_creation(false);
        let told = self.anyone(|one| one.ask(&request, 12))?;
        self.brokers = told.brokers.iter().map(|one| (one.node_id.0, format!("{}:{}", one.host, one.port))).collect();
        for topic in told.topics {
            let Some(name) = topic.name.map(|name| name.0.to_string()) else {
                continue;
            };
            match topic.error_code {
                0 => {
                    let mut leaders = vec![-1; topic.partitions.len()];
                    for one in &topic.partitions {
                        if let Some(leader) = leaders.get_mut(one.partition_index as usize) {
                            *leader = one.leader_id.0;
                        }
                    }
                    self.topics.insert(name, leaders);
                }
                UNKNOWN_TOPIC | LEADER_NOT_AVAILABLE => drop(self.topics.remove(&name)),
                code => return Err(Error::Said(code, name)),
            }
        }
        Ok(())
    }

    /// How many partitions a topic has, as far as it is known.
    pub fn partitions(&self, topic: &str) -> Option<usize> {
        self.topics.get(topic).map(Vec::len)
    }

    /// The broker that leads a partition, as far as it is known.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let leader = *self.topics.get(topic)?.get(partition as usize)?;
        self.brokers.contains_key(&leader).then_some(leader)
    }

    /// Where a broker is.
    pub fn address(&self, broker: i32) -> Result<String> {
        self.brokers.get(&broker).cloned().ok_or_else(|| Error::Lost(format!("broker {broker} is not known")))
    }

    /// A connection with the coordinator of a group or a transactional id.
    pub fn coordinator(&mut self, kind: i8, key: &str) -> Result<Connection> {
        let request = FindCoordinatorRequest::default()
            .with_key_type(kind)
            .with_coordinator_keys(vec![StrBytes::from_string(key.to_owned())]);
        let told = self.anyone(|one| one.ask(&request, 4))?;
        let found = told.coordinators.first().ok_or_else(|| Error::Lost("no coordinator was named".to_owned()))?;
        said(found.error_code, &format!("the coordinator of {key}"))?;
        Connection::open(&self.login, &format!("{}:{}", found.host, found.port))
    }

    /// Ask whichever broker answers, on the connection there is or on a new one.
    pub fn anyone<T>(&mut self, mut ask: impl FnMut(&mut Connection) -> Result<T>) -> Result<T> {
        if let Some(mut standing) = self.any.take()
            && let Ok(told) = ask(&mut standing)
        {
            self.any = Some(standing);
            return Ok(told);
        }
        let mut failure = Error::Lost("no broker is named".to_owned());
        let addresses: Vec<&String> = self.login.bootstrap.iter().chain(self.brokers.values()).collect();
        for address in addresses {
            match Connection::open(&self.login, address).and_then(|mut one| ask(&mut one).map(|told| (one, told))) {
                Ok((one, told)) => {
                    self.any = Some(one);
                    return Ok(told);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

pub fn name_of(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
