//! Messages that scripts put into the queue themselves, each in a transaction of its own.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use hostcalls::mail::Posted;
use net::smtp::address::Address;
use net::smtp::parameters::{EnvelopeId, MailParameters, Ret};
use spool::Envelope;

use crate::bounce::{failure, refusal};
use crate::domain::domain_of;
use crate::ids::transaction_id;
use crate::log::event::{Accepted, Event};
use crate::shard::{Entering, Shard};
use crate::stored;

/// Makes a message durable and queues it; the id of its transaction. The error is a sentence.
pub(crate) async fn queue(shard: &Rc<Shard>, posted: Posted) -> Result<String, String> {
    let Posted { message, sender, recipient, transport, options } = posted;
    if !shard.snapshot().routes.contains_key(&transport) {
        return Err(format!("there is no transport \"{transport}\""));
    }
    if shard.queue.borrow().room() == 0 {
        return Err("the queue is full".to_owned());
    }
    let id = transaction_id(shard.program.uuid_version());
    let parameter = |keyword: &str| {
        let found = options.dsn.iter().find(|(name, _)| *name == keyword);
        found.map(|(_, value)| value.as_bytes())
    };
    let said = MailParameters {
        ret: parameter("RET").and_then(Ret::parse),
        envelope_id: parameter("ENVID").and_then(EnvelopeId::parse),
        ..MailParameters::default()
    };
    let now_ms = engine::time::steady_ms();
    let from = sender.as_ref().map_or(&[][..], Address::as_bytes);
    let envelope = Envelope {
        transaction: *id.as_bytes(),
        sender: Bytes::copy_from_slice(from),
        received_ms: now_ms,
        eight_bit: !message.is_ascii(),
        smtputf8: !from.is_ascii() || !recipient.as_bytes().is_ascii(),
        recipients: vec![spool::Recipient {
            address: Bytes::copy_from_slice(recipient.as_bytes()),
            transport: transport.into(),
            domain: domain_of(recipient.as_bytes()).unwrap_or_default().into(),
            fields: stored::ordered_fields(&options, now_ms),
        }],
        fields: stored::message_fields(&said),
        ..Envelope::default()
    };
    let size_bytes = message.len() as u64;
    let mut intake = shard.store.begin(Some(size_bytes)).map_err(|refused| refusal(&refused))?;
    intake.write(&message);
    intake.ready().await.map_err(|error| failure(&error))?;
    let stored = intake.commit(&envelope, Bytes::new()).await.map_err(|error| failure(&error))?;
    let event = Event::Accepted(&Accepted {
        transaction: id,
        server: "-",
        remote: SocketAddr::from(([0; 4], 0)),
        helo: None,
        user: None,
        tls: None,
        from,
        to: &[recipient.as_bytes()],
        recipients: 1,
        size_bytes,
        took_ms: 0,
    });
    shard.log.event(&event);
    shard.accounting.record_accepted(stored, &event);
    shard.enqueue(stored, &envelope, size_bytes, std::iter::once(Entering::new(0)));
    shard.due.notify_one();
    Ok(id.to_string())
}
