//! `MIME.queue` and `MailMessage.queue`: a message of a script's own goes into the queue of the server at once, from hsh
//! too (reference: hsl-stdlib 13, 14).

use std::rc::Rc;

use bytes::Bytes;
use net::smtp::address::Address;
use script::fault::Fault;
use script::host::HostCall;
use script::value::{Array, Value};

use super::message::INLINE_BYTES;
use super::{MailPart, MimeObject, QueueOptions, outbox};
use crate::arguments::Arguments;
use crate::offload::offload;
use crate::{Execution, HostFunction, HostFuture, address, numbers, smtp};

pub(super) const QUEUE: u16 = numbers::MAIL + 1;

pub(super) const HOST_FUNCTION: HostFunction = HostFunction { number: QUEUE, run: queue };

/// A message that a script puts into the queue.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Its bytes; every line ends in CRLF.
    pub message: Bytes,
    /// Envelope sender; `None` for the null sender.
    pub sender: Option<Address>,
    /// Envelope recipient.
    pub recipient: Address,
    /// Id of the transport.
    pub transport: String,
    /// The rest.
    pub options: QueueOptions,
}

fn queue(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let post = execution.environment().post();
        let post = post.ok_or_else(|| call.error("there is no mail server to queue it"))?;
        let sender =
            address::of_value(call.arg(0)).map_err(|why| call.error(format_args!("the sender: {why}")))?;
        let recipient = address::of_value(call.arg(1))
            .and_then(|address| address.ok_or_else(|| "it is empty".to_owned()))
            .map_err(|why| call.error(format_args!("the recipient: {why}")))?;
        let transport = call.str(2)?.to_string_lossy().into_owned();
        let options = outbox::options(&call.options(3)?)?;
        let message = source(&execution, &call).await?;
        let posted = Posted { message, sender, recipient, transport, options };
        let transaction = post.queue(posted).await.map_err(|why| call.error(why))?;
        let mut item = Array::new();
        item.set_str("transaction", transaction);
        item.set_str("queue", 1);
        Ok(Value::from(item))
    })
}

async fn source(execution: &Execution, call: &HostCall) -> Result<Bytes, Fault> {
    let object = call.this_object()?;
    let message = if let Some(mime) = object.downcast::<MimeObject>() {
        mime.source("queue").await?
    } else {
        let part = object.downcast::<MailPart>().ok_or_else(|| call.error("is a method of messages"))?;
        part.take(super::now_in(execution.environment())).bytes("queue").await?
    };
    let is_clean = match message.len() {
        0..=INLINE_BYTES => smtp::is_clean(&message),
        _ => {
            let message = message.clone();
            offload("queue", move || smtp::is_clean(&message)).await?
        }
    };
    match is_clean {
        true => Ok(message),
        false => Err(call.error(super::UNCLEAN)),
    }
}
