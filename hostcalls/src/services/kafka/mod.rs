//! `kafka`: messages for topics. A message is sent when the script asks, and the call waits until brokers have it: nothing is
//! queued here that could be lost.

mod settings;
mod wire;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use script::fault::Fault;
use script::host::HostCall;
use script::value::{Array, Value};

pub(crate) use settings::Settings;
use wire::{Metadata, Reader, Record};

use super::link::{Place, within};
use super::pool::{Bounds, Fate, Holder};
use super::{KAFKA, Link, Pools, ServiceError};
use crate::arguments::Arguments;
use crate::library::{HostFunction, HostFuture};
use crate::limits::{
    KAFKA_ANSWER_BYTES_MAX, KAFKA_CONNECTIONS_MAX, KAFKA_IDLE, KAFKA_RETRY, KAFKA_TOPICS_MAX, SERVICE_WAIT,
};
use crate::{Environment, Execution};

pub(super) const HOST: [HostFunction; 1] = [HostFunction { number: KAFKA, run: produce }];

/// What a shard keeps.
#[derive(Default)]
pub(super) struct State {
    pools: Pools<Connection>,
    /// By queue and topic.
    topics: RefCell<HashMap<(String, String), Rc<Metadata>>>,
}

/// A connection to a broker that has let us in.
struct Connection {
    link: Link,
    last: i32,
}

/// Why a message was not taken: a code as librdkafka numbers them, negative for those that are not a broker's.
#[derive(Debug)]
struct Failed {
    code: i16,
    text: String,
}

const TRANSPORT: i16 = -195;
const BAD_ANSWER: i16 = -199;
const TIMED_OUT: i16 = -192;
const UNKNOWN_PARTITION: i16 = -190;
const AUTHENTICATION: i16 = -169;
const SETTINGS: i16 = -186;

/// `kafka_producer(id, topic [, value, key, headers, partition, block])`: nothing, or `errno` and `errstr`.
fn produce(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let id = call.str(0)?.to_string_lossy().into_owned();
        let topic = call.str(1)?.to_string_lossy().into_owned();
        let bytes = |index| Ok::<_, Fault>(call.opt_str(index)?.map(|text| text.as_bytes().to_vec()));
        let record = Record {
            value: bytes(2)?,
            key: bytes(3)?,
            headers: headers(&call.opt_array(4)?.unwrap_or_default()),
            time_ms: engine::time::wall_ms() as i64,
        };
        let partition = call.opt_number(5)?.filter(|number| *number >= 0.0).map(|number| number as i32);
        let environment = execution.environment();
        let settings = environment.settings.plugins.kafka.get(&id).cloned();
        let settings = settings
            .ok_or_else(|| call.error(format!("no such id: plugins[] has no queue \"{id}\" of kafka")))?;
        let sending = send(environment, &id, &settings, &topic, partition, &record);
        let sent = engine::time::timeout(settings.patience, sending).await;
        let late =
            || Failed { code: TIMED_OUT, text: format!("not delivered within {:?}", settings.patience) };
        let mut result = Array::new();
        if let Err(failed) = sent.unwrap_or_else(|_| Err(late())) {
            result.set_str("errno", i32::from(failed.code));
            result.set_str("errstr", failed.text);
        }
        Ok(result.into())
    })
}

/// Those with a name and a text.
fn headers(array: &Array) -> Vec<(Vec<u8>, Vec<u8>)> {
    let header = |(name, value): (script::value::Key, Value)| {
        let name = name.into_value();
        Some((name.as_bytes()?.to_vec(), value.as_bytes()?.to_vec()))
    };
    array.iter().filter_map(header).collect()
}

/// Sends a record to the broker that leads its partition, again when that is another one by now.
async fn send(
    environment: &Environment,
    id: &str,
    settings: &Settings,
    topic: &str,
    partition: Option<i32>,
    record: &Record,
) -> Result<(), Failed> {
    let topics = &environment.services.kafka.topics;
    let key = (id.to_owned(), topic.to_owned());
    loop {
        let failed = match once(environment, id, settings, topic, partition, record).await {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        topics.borrow_mut().remove(&key);
        if !may_pass(failed.code) {
            return Err(failed);
        }
        engine::time::sleep(KAFKA_RETRY).await;
    }
}

/// What may be different soon: a leader that is being elected, a topic that is being made, a connection that broke.
fn may_pass(code: i16) -> bool {
    matches!(code, TRANSPORT | 2 | 3 | 5..=9 | 13..=15 | 19 | 20 | 56)
}

async fn once(
    environment: &Environment,
    id: &str,
    settings: &Settings,
    topic: &str,
    partition: Option<i32>,
    record: &Record,
) -> Result<(), Failed> {
    let metadata = metadata(environment, id, settings, topic).await?;
    let partition = partition.or_else(|| choose(&metadata, record.key.as_deref()));
    let leader = partition.and_then(|partition| metadata.leaders.get(&partition));
    let (Some(partition), Some(leader)) = (partition, leader) else {
        return Err(Failed { code: UNKNOWN_PARTITION, text: "the topic has no such partition".to_owned() });
    };
    let Some(broker) = metadata.brokers.get(leader) else {
        return Err(Failed { code: 5, text: "no broker leads the partition".to_owned() });
    };
    let timeout_ms = settings.patience.as_millis() as i32;
    let body = wire::produce(topic, partition, settings.acks, timeout_ms, record);
    let answer = ask(environment, id, settings, broker, wire::PRODUCE, &body).await?;
    let code = Reader::of(&answer.1, answer.0).and_then(Reader::produced).map_err(bad)?;
    refused(code)
}

/// By its key; without one at random.
fn choose(metadata: &Metadata, key: Option<&[u8]>) -> Option<i32> {
    let count = metadata.leaders.len();
    let at = match key {
        Some(key) if !key.is_empty() => wire::partition_of(key, count),
        _ => {
            let mut random = [0; 4];
            engine::rng::fill(&mut random);
            u32::from_ne_bytes(random) as usize % count.max(1)
        }
    };
    metadata.leaders.keys().nth(at).copied()
}

/// What is known of a topic, asked for where it is not.
async fn metadata(
    environment: &Environment,
    id: &str,
    settings: &Settings,
    topic: &str,
) -> Result<Rc<Metadata>, Failed> {
    let topics = &environment.services.kafka.topics;
    let key = (id.to_owned(), topic.to_owned());
    let known = topics.borrow().get(&key).cloned();
    if let Some(metadata) = known {
        return Ok(metadata);
    }
    let mut failed = Failed { code: TRANSPORT, text: "there is no broker".to_owned() };
    for broker in &settings.brokers {
        match ask(environment, id, settings, broker, wire::METADATA, &wire::metadata(topic)).await {
            Ok((correlation, answer)) => {
                let metadata = Reader::of(&answer, correlation).and_then(Reader::metadata).map_err(bad)?;
                refused(metadata.error)?;
                let metadata = Rc::new(metadata);
                let mut topics = topics.borrow_mut();
                if topics.len() >= KAFKA_TOPICS_MAX {
                    topics.clear();
                }
                topics.insert(key, metadata.clone());
                return Ok(metadata);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Asks a broker: the number of the request, and the answer.
async fn ask(
    environment: &Environment,
    id: &str,
    settings: &Settings,
    broker: &(String, u16),
    api: (i16, i16),
    body: &[u8],
) -> Result<(i32, bytes::Bytes), Failed> {
    let bounds = Bounds {
        size: KAFKA_CONNECTIONS_MAX,
        wait: SERVICE_WAIT,
        lifetime: None,
        idle_time: Some(KAFKA_IDLE),
    };
    let pool = environment.services.kafka.pools.of(&format!("{id} {}:{}", broker.0, broker.1), bounds);
    // So that there is time for another one.
    let patience = (settings.patience / 2).min(Duration::from_secs(10));
    let open = async || within(patience, "connecting", open(environment, settings, broker, patience)).await;
    let run = async |connection: &mut Connection| {
        within(patience, "the request", connection.ask(settings, api, body)).await
    };
    let answer = pool.with(&Holder::default(), open, run, |_, _| Fate::Rest).await;
    answer.map_err(|error| {
        let code = match error {
            ServiceError::Protocol(_) => BAD_ANSWER,
            ServiceError::Refused(_) => AUTHENTICATION,
            ServiceError::Settings(_) => SETTINGS,
            _ => TRANSPORT,
        };
        Failed { code, text: error.to_string() }
    })
}

async fn open(
    environment: &Environment,
    settings: &Settings,
    (host, port): &(String, u16),
    patience: Duration,
) -> Result<Connection, ServiceError> {
    let mut link = Link::connect(environment, &Place::Host(host.clone(), *port), patience).await?;
    if settings.tls.enabled == Some(true) {
        link.encrypt(environment, host, settings.tls).await?;
    }
    let mut connection = Connection { link, last: 0 };
    if let Some((username, password)) = &settings.login {
        let steps = [
            (wire::SASL_HANDSHAKE, wire::sasl_handshake("PLAIN")),
            (wire::SASL_AUTHENTICATE, wire::sasl_plain(username, password)),
        ];
        for (api, body) in steps {
            let (correlation, answer) = connection.ask(settings, api, &body).await?;
            let mut reader = Reader::of(&answer, correlation).map_err(|_| not_kafka())?;
            let code = reader.i16().map_err(|_| not_kafka())?;
            if code != 0 {
                let said = if api == wire::SASL_AUTHENTICATE { reader.string().ok().flatten() } else { None };
                return Err(ServiceError::Refused(said.unwrap_or_else(|| error_text(code))));
            }
        }
    }
    Ok(connection)
}

impl Connection {
    async fn ask(
        &mut self,
        settings: &Settings,
        api: (i16, i16),
        body: &[u8],
    ) -> Result<(i32, bytes::Bytes), ServiceError> {
        self.last = self.last.wrapping_add(1);
        self.link.send(wire::request(api, self.last, &settings.client, body)).await?;
        let length = self.link.take(4).await?;
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if length > KAFKA_ANSWER_BYTES_MAX {
            return Err(not_kafka());
        }
        Ok((self.last, self.link.take(length).await?))
    }
}

fn not_kafka() -> ServiceError {
    ServiceError::protocol("what came is no answer of Kafka")
}

fn bad(_: wire::BadAnswer) -> Failed {
    Failed { code: BAD_ANSWER, text: not_kafka().to_string() }
}

fn refused(code: i16) -> Result<(), Failed> {
    if code == 0 { Ok(()) } else { Err(Failed { code, text: error_text(code) }) }
}

/// The errors of brokers that a producer meets.
fn error_text(code: i16) -> String {
    let text = match code {
        2 => "Broker: Invalid message",
        3 => "Broker: Unknown topic or partition",
        5 => "Broker: Leader not available",
        6 => "Broker: Not leader for partition",
        7 => "Broker: Request timed out",
        10 => "Broker: Message size too large",
        17 => "Broker: Invalid topic",
        18 => "Broker: Message batch larger than configured server segment size",
        19 => "Broker: Not enough in-sync replicas",
        29 => "Broker: Topic authorization failed",
        33 => "Broker: Unsupported SASL mechanism",
        35 => "Broker: API version not supported",
        58 => "Broker: SASL Authentication failed",
        87 => "Broker: Broker failed to validate record",
        _ => return format!("Broker: error {code}"),
    };
    text.to_owned()
}

/// Whatever a broker may say: no more is kept than was sent.
pub(super) fn check(bytes: &[u8]) {
    if let Ok(metadata) = Reader::of(bytes, 1).and_then(Reader::metadata) {
        assert!(metadata.brokers.len() * 12 + metadata.leaders.len() * 18 <= bytes.len());
        assert!(metadata.brokers.values().all(|(host, _)| host.len() <= 3 * bytes.len()));
    }
    let _ = Reader::of(bytes, 1).and_then(Reader::produced);
}
