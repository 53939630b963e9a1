//! The class `EODMailMessage`: the message that a transaction has brought, which a script queues (reference: hooks 3.8.1).
//!
//! Nothing is queued while the script runs: each call leaves an order in the [`Outbox`], with the changes made so far. The
//! server carries them out with the reply, all or none.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mail::delta::{Data, Delta, MailNeeds};
use mail::message::Message;
use net::smtp::address::Address;
use script::fault::Fault;
use script::native::{Call, Native, NativeClass, Options};
use script::value::{Array, Str, Value};
use uuid::Uuid;

use super::message::MailPart;
use super::{GivenParameters, MESSAGE};
use crate::{address, limits};

/// The class.
pub static RECEIVED: NativeClass = NativeClass {
    name: "EODMailMessage",
    doc: "The message that has just come in. What is queued becomes final with the reply.",
    extends: Some(&MESSAGE),
    constructor: None,
    methods: &[QUEUE],
    statics: &[],
};

const QUEUE: Native = Native::inline(
    "queue",
    "any sender, any recipient, string transportid [, array options]",
    (3, Some(4)),
    "Queues the message as it is now for one recipient; returns transaction and queue, which name the item. Options: metadata, \
     hold, jobid, tenantid, quotas, delay, dsn, priority.",
    queue,
);

/// What a script has queued so far, for one message.
#[derive(Debug)]
pub struct Outbox {
    transaction: Str,
    transports: TransportNames,
    recipients: AddressObjects,
    queued: RefCell<Vec<Queued>>,
}

/// The address objects of a transaction's recipients: which of them has the array at this address in memory. Whoever made
/// those arrays keeps them as long as the script runs.
pub type AddressObjects = HashMap<usize, usize>;

/// The names of the transports that exist.
pub type TransportNames = Arc<HashSet<String>>;

/// One order: the message as it was then, for one recipient.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Envelope sender; `None` for the null sender.
    pub sender: Option<Address>,
    /// Envelope recipient.
    pub recipient: Address,
    /// Which recipient of the transaction it is, where the script gave the address object of that one.
    pub accepted: Option<usize>,
    /// Id of the transport.
    pub transport: String,
    /// The changes to the message.
    pub delta: Delta,
    /// What they bring into it that a peer has to be told of.
    pub needs: MailNeeds,
    /// The rest.
    pub options: QueueOptions,
}

/// What is kept with an item: strings by string, in the order of the array.
pub type Metadata = Vec<(Vec<u8>, Vec<u8>)>;

/// The options of `queue`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueOptions {
    /// Kept with the item: strings by string.
    pub metadata: Metadata,
    /// Held until somebody releases it.
    pub hold: bool,
    /// Policy field; empty: none.
    pub job_id: String,
    /// Policy field; empty: none.
    pub tenant_id: String,
    /// Counters that are raised while the item is in the queue.
    pub quotas: Vec<String>,
    /// Seconds until the first attempt.
    pub delay_s: f64,
    /// DSN parameters.
    pub dsn: GivenParameters,
    /// 0 or 1, which is picked first.
    pub priority: u8,
}

impl Outbox {
    /// For the message of a transaction. Of `recipients` it is told which were queued.
    pub fn new(transaction: Uuid, transports: TransportNames, recipients: AddressObjects) -> Outbox {
        let transaction = (&*transaction.hyphenated().encode_lower(&mut Uuid::encode_buffer())).into();
        Outbox { transaction, transports, recipients, queued: RefCell::default() }
    }

    /// What was queued.
    pub fn take(&self) -> Vec<Queued> {
        self.queued.take()
    }
}

fn queue(call: &mut Call<'_>) -> Result<Value, Fault> {
    let part: &MailPart = call.this()?;
    let outbox = part.outbox().ok_or_else(|| call.error("this message has been queued already"))?;
    let sender =
        address::of_value(call.arg(0)).map_err(|why| call.error(format_args!("the sender: {why}")))?;
    let recipient = address::of_value(call.arg(1))
        .and_then(|address| address.ok_or_else(|| "it is empty".to_owned()))
        .map_err(|why| call.error(format_args!("the recipient: {why}")))?;
    let given = call.arg(1).as_array().map(Array::address);
    let accepted = given.and_then(|place| outbox.recipients.get(&place).copied());
    let transport = call.str(2)?;
    let known = std::str::from_utf8(&transport).ok().and_then(|name| outbox.transports.get(name));
    let Some(known) = known else {
        let transport = transport.to_string_lossy();
        return Err(call.error(format_args!("there is no transport \"{transport}\"")));
    };
    let transport = known.clone();
    let options = options(&call.options(3)?)?;
    if outbox.queued.borrow().len() >= limits::QUEUED_PER_MESSAGE {
        return Err(
            call.error(format_args!("a message is queued at most {} times", limits::QUEUED_PER_MESSAGE))
        );
    }
    let (delta, needs) = checked(&part.message().borrow(), call)?;
    let inserted: usize = delta.splices().iter().map(|splice| inserted_bytes(&splice.data)).sum();
    call.charge(inserted + 256)?;
    let mut queued = outbox.queued.borrow_mut();
    queued.push(Queued { sender, recipient, accepted, transport, delta, needs, options });
    let mut item = Array::with_room(2);
    let [transaction, number] = NAMES.with(Clone::clone);
    item.append(transaction, outbox.transaction.clone().into());
    item.append(number, queued.len().into());
    Ok(item.into())
}

thread_local! {
    /// The keys of what `queue` returns, once for all.
    static NAMES: [Str; 2] = ["transaction".into(), "queue".into()];
}

/// The changes of a message, which is to be one that can be sent, and what they bring into it.
fn checked(message: &Message, call: &Call<'_>) -> Result<(Delta, MailNeeds), Fault> {
    let delta = message.delta();
    match delta.is_empty() || delta.keeps_line_ends(message.original()) {
        true => {
            let needs = delta.needs(message.original());
            Ok((delta, needs))
        }
        // Only modifyContent() takes bytes as they are.
        false => Err(call.error(super::UNCLEAN)),
    }
}

fn inserted_bytes(data: &Data) -> usize {
    match data {
        Data::Bytes(bytes) => bytes.len(),
        Data::DateField => 0,
    }
}

pub(super) fn options(given: &Options) -> Result<QueueOptions, Fault> {
    Ok(QueueOptions {
        metadata: given.array("metadata")?.map_or(Ok(Vec::new()), |array| metadata(&array))?,
        hold: given.boolean("hold", false)?,
        job_id: item_name("jobid", given.str("jobid")?)?,
        tenant_id: item_name("tenantid", given.str("tenantid")?)?,
        quotas: given.array("quotas")?.map_or(Ok(Vec::new()), |array| quotas(&array))?,
        delay_s: given.get("delay").map_or(Ok(0.0), |delay| delay_s(&delay))?,
        dsn: given.array("dsn")?.map_or(Ok(GivenParameters::default()), |array| {
            GivenParameters::of_dsn(&array)
                .map_err(|why| Fault::error(format!("queue(): option \"dsn\": {why}")))
        })?,
        priority: match given.number("priority")?.unwrap_or(0.0) {
            0.0 => 0,
            1.0 => 1,
            _ => return Err(Fault::error("queue(): option \"priority\": it is 0 or 1")),
        },
    })
}

/// Strings by string, as metadata must be.
///
/// # Errors
/// Something in it is no string, or all of it is too large.
pub fn metadata(array: &Array) -> Result<Metadata, Fault> {
    let mut size_bytes = 0;
    let pairs = array.iter().map(|(key, value)| {
        let key = key.into_value().to_text().map_err(|_| Fault::error("metadata: a key is no string"))?;
        let Value::Str(value) = value else {
            return Err(Fault::error(format!(
                "metadata: the value of a key is a {}, not a string",
                value.type_name()
            )));
        };
        size_bytes += key.len() + value.len();
        Ok((key.as_bytes().to_vec(), value.as_bytes().to_vec()))
    });
    let pairs = pairs.collect::<Result<Vec<_>, Fault>>()?;
    if size_bytes > limits::METADATA_BYTES {
        return Err(Fault::error(format!(
            "metadata: {size_bytes} bytes, of which {} are allowed",
            limits::METADATA_BYTES
        )));
    }
    Ok(pairs)
}

/// Seconds; a string of digits counts as a number, as in `Queue`.
fn delay_s(value: &Value) -> Result<f64, Fault> {
    let number = match value {
        Value::Number(number) => Some(*number),
        Value::Str(text) => std::str::from_utf8(text.as_bytes()).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    number.filter(|delay_s| (0.0..=limits::MAX_DELAY_S).contains(delay_s)).ok_or_else(|| {
        let most = limits::MAX_DELAY_S;
        Fault::error(format!("queue(): option \"delay\": it is a number of seconds from 0 to {most}"))
    })
}

fn quotas(array: &Array) -> Result<Vec<String>, Fault> {
    if array.len() > fields::QUOTAS_MAX {
        let (most, are) = (fields::QUOTAS_MAX, array.len());
        return Err(Fault::error(format!("queue(): option \"quotas\": {are} names, at most {most}")));
    }
    let quotas = strings("quotas", array)?;
    quotas.into_iter().map(|quota| item_name("quotas", Some(quota.as_str().into()))).collect()
}

/// A name that is kept with the item; empty: none.
fn item_name(option: &str, name: Option<Str>) -> Result<String, Fault> {
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    if name.len() > fields::NAME_BYTES_MAX {
        let (most, is) = (fields::NAME_BYTES_MAX, name.len());
        return Err(Fault::error(format!("queue(): option \"{option}\": {is} bytes, at most {most}")));
    }
    Ok(name)
}

fn strings(name: &str, array: &Array) -> Result<Vec<String>, Fault> {
    let strings = array.values().map(|value| match value {
        Value::Str(text) => Ok(text.to_string_lossy().into_owned()),
        other => {
            Err(Fault::error(format!("queue(): option \"{name}\": a {} among strings", other.type_name())))
        }
    });
    strings.collect()
}
