//! `rabbitmq`: messages for a broker that speaks AMQP 0-9-1. A message counts as published when the broker confirms it.

mod frame;

use std::rc::Rc;
use std::time::Duration;

use config::ServiceTls;
use script::fault::Fault;
use script::host::HostCall;
use script::native::Options;
use script::value::Array;

use frame::{FRAME_BYTES_MAX, Message, Method, PROTOCOL_HEADER};

use super::link::{Place, within};
use super::pool::{Bounds, Fate, Holder};
use super::{Link, Pools, RABBITMQ, ServiceError};
use crate::arguments::Arguments;
use crate::library::{HostFunction, HostFuture};
use crate::limits::{RABBITMQ_CONNECTIONS_MAX, RABBITMQ_IDLE, SERVICE_WAIT};
use crate::{Environment, Execution};

pub(super) const HOST: [HostFunction; 1] = [HostFunction { number: RABBITMQ, run: publish }];

/// What a shard keeps.
#[derive(Default)]
pub(super) struct State {
    pools: Pools<Connection>,
}

/// A connection with an open channel that confirms.
struct Connection {
    link: Link,
    frame_bytes: u32,
}

/// Where the broker is, and who we are.
struct Broker {
    host: String,
    port: u16,
    vhost: Vec<u8>,
    username: Vec<u8>,
    password: Vec<u8>,
    connect_timeout: Duration,
    tls: ServiceTls,
}

/// What is published, besides the body.
struct Wanted {
    exchange: Vec<u8>,
    routing_key: Vec<u8>,
    content_type: Vec<u8>,
    persistent: bool,
}

/// `rabbitmq_publish(body [, options])`: `result`, or `error`.
fn publish(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let body = call.str(0)?;
        let options = call.options(1)?;
        let (broker, wanted) = (Broker::of(&options)?, Wanted::of(&options)?);
        let mut result = Array::new();
        match run(execution.environment(), &broker, &wanted, body.as_bytes()).await {
            Ok(()) => result.set_str("result", "published"),
            Err(error) => result.set_str("error", error.to_string()),
        }
        Ok(result.into())
    })
}

impl Broker {
    fn of(options: &Options) -> Result<Broker, Fault> {
        let text = |name: &str, default: &str| -> Result<Vec<u8>, Fault> {
            let given = options.str(name)?;
            Ok(given.map_or(default.as_bytes().to_vec(), |text| text.as_bytes().to_vec()))
        };
        let port = options.number("port")?.unwrap_or(5672.0);
        if !(1.0..65536.0).contains(&port) {
            return Err(Fault::error("rabbitmq_publish(): option \"port\" must be from 1 to 65535"));
        }
        let seconds = options.number("connect_timeout")?.filter(|seconds| *seconds > 0.0).unwrap_or(10.0);
        Ok(Broker {
            host: String::from_utf8_lossy(&text("hostname", "localhost")?).into_owned(),
            port: port as u16,
            vhost: text("vhost", "/")?,
            username: text("username", "guest")?,
            password: text("password", "guest")?,
            connect_timeout: Duration::from_secs_f64(seconds.min(86_400.0)),
            tls: ServiceTls {
                enabled: Some(options.boolean("tls_enabled", false)?),
                verify_peer: options.boolean("tls_verify_peer", true)?,
                verify_host: options.boolean("tls_verify_host", true)?,
            },
        })
    }

    /// What tells it apart; all of it, so that nobody uses the connection of somebody else.
    fn key(&self) -> String {
        let hidden = |secret: &[u8]| data_encoding::HEXLOWER.encode(secret);
        let (vhost, user, password) = (hidden(&self.vhost), hidden(&self.username), hidden(&self.password));
        format!("{}:{} {vhost} {user} {password} {:?}", self.host, self.port, self.tls)
    }
}

impl Wanted {
    fn of(options: &Options) -> Result<Wanted, Fault> {
        let text = |name: &str, default: &str| -> Result<Vec<u8>, Fault> {
            let given = options.str(name)?;
            let text = given.map_or(default.as_bytes().to_vec(), |text| text.as_bytes().to_vec());
            match text.len() {
                0..=255 => Ok(text),
                _ => {
                    Err(Fault::error(format!("rabbitmq_publish(): option \"{name}\" has at most 255 bytes")))
                }
            }
        };
        let persistent = match &text("delivery_mode", "nonpersistent")?[..] {
            b"persistent" => true,
            b"nonpersistent" => false,
            _ => {
                return Err(Fault::error(
                    "rabbitmq_publish(): option \"delivery_mode\" must be persistent or nonpersistent",
                ));
            }
        };
        Ok(Wanted {
            exchange: text("exchange", "amq.direct")?,
            routing_key: text("routing_key", "")?,
            content_type: text("content_type", "text/plain")?,
            persistent,
        })
    }
}

async fn run(
    environment: &Environment,
    broker: &Broker,
    wanted: &Wanted,
    body: &[u8],
) -> Result<(), ServiceError> {
    let bounds = Bounds {
        size: RABBITMQ_CONNECTIONS_MAX,
        wait: SERVICE_WAIT,
        lifetime: None,
        idle_time: Some(RABBITMQ_IDLE),
    };
    let pool = environment.services.rabbitmq.pools.of(&broker.key(), bounds);
    let open = async || within(broker.connect_timeout, "connecting", open(environment, broker)).await;
    let ask = async |connection: &mut Connection| {
        let message = Message {
            exchange: &wanted.exchange,
            routing_key: &wanted.routing_key,
            content_type: &wanted.content_type,
            persistent: wanted.persistent,
            body,
        };
        within(SERVICE_WAIT, "publishing", connection.publish(&message)).await
    };
    let fate = |_: &Connection, answer: &Result<(), ServiceError>| {
        if answer.is_ok() { Fate::Rest } else { Fate::Close }
    };
    pool.with(&Holder::default(), open, ask, fate).await
}

async fn open(environment: &Environment, broker: &Broker) -> Result<Connection, ServiceError> {
    let place = Place::Host(broker.host.clone(), broker.port);
    let mut link = Link::connect(environment, &place, broker.connect_timeout).await?;
    if broker.tls.enabled == Some(true) {
        link.encrypt(environment, &broker.host, broker.tls).await?;
    }
    link.send(PROTOCOL_HEADER).await?;
    let mut connection = Connection { link, frame_bytes: FRAME_BYTES_MAX };
    loop {
        let out = match connection.method().await? {
            Method::Start { mechanisms } if mechanisms.split(' ').any(|name| name == "PLAIN") => {
                frame::start_ok(&broker.username, &broker.password)
            }
            Method::Start { .. } => return Err(ServiceError::protocol("it takes no login by PLAIN")),
            Method::Tune { frame_bytes, .. } => {
                if frame_bytes != 0 {
                    // The standard says that frames of 4096 bytes are always taken.
                    connection.frame_bytes = frame_bytes.clamp(4096, FRAME_BYTES_MAX);
                }
                frame::tune_ok_and_open(connection.frame_bytes, &broker.vhost)
            }
            Method::OpenOk => frame::open_channel(),
            Method::SelectOk => return Ok(connection),
            Method::Close { code, text } | Method::ChannelClose { code, text } => {
                return Err(ServiceError::Refused(format!("{text} ({code})")));
            }
            _ => continue,
        };
        connection.link.send(out).await?;
    }
}

impl Connection {
    /// Publishes a message, and waits until the broker has it.
    async fn publish(&mut self, message: &Message<'_>) -> Result<(), ServiceError> {
        self.link.send(message.encode(self.frame_bytes)).await?;
        loop {
            match self.method().await? {
                Method::Ack => return Ok(()),
                Method::Nack => {
                    return Err(ServiceError::Refused("the broker does not take the message".to_owned()));
                }
                // The exchange is not there, or is not ours to write to: the channel is gone.
                Method::ChannelClose { code, text } => {
                    return Err(ServiceError::Refused(format!("{text} ({code})")));
                }
                Method::Close { code, text } => {
                    self.link.send(frame::close_ok()).await?;
                    return Err(ServiceError::Broken {
                        why: format!("{text} ({code})"),
                        before_answer: false,
                    });
                }
                _ => {}
            }
        }
    }

    async fn method(&mut self) -> Result<Method, ServiceError> {
        let bad = |_| ServiceError::protocol("what came is no frame of AMQP 0-9-1");
        loop {
            match frame::length(&self.link.input).map_err(bad)? {
                Some(length) if length <= self.link.input.len() => {
                    let bytes = self.link.input.split_to(length);
                    return frame::read(&bytes).map_err(bad);
                }
                _ => self.link.fill().await?,
            }
        }
    }
}

/// Whatever a server may say; and a message is sent in frames of the size that was agreed on, and whole.
pub(super) fn check(bytes: &[u8]) {
    if let Ok(Some(length)) = frame::length(bytes) {
        assert!((0..bytes.len().min(7)).all(|cut| frame::length(&bytes[..cut]) == Ok(None)));
        let _ = bytes.get(..length).map(frame::read);
    }
    let _ = frame::read(bytes);
    let message =
        Message { exchange: bytes, routing_key: b"k", content_type: b"t", persistent: true, body: bytes };
    let frame_bytes = 4096;
    let wire = message.encode(frame_bytes);
    let (mut rest, mut body) = (&wire[..], Vec::new());
    while let Some(length) = frame::length(rest).expect("frames follow frames") {
        let (frame, behind) = rest.split_at(length);
        assert!(length <= frame_bytes as usize);
        if frame[0] == 3 {
            body.extend_from_slice(&frame[7..length - 1]);
        }
        rest = behind;
    }
    assert!(rest.is_empty() && body == bytes);
}
