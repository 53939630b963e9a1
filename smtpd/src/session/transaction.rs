//! One message on its way in: from MAIL to the `250` after its final dot.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use engine::time::Instant;
use hooks::{Queued, Reread};
use mail::message::Message;
use net::smtp::address::Address;
use net::smtp::error::{Error, LocalLimit, Storage};
use net::smtp::received::{Received, With};
use net::smtp::server::{BodyType, Hello, Mail, Rcpt, Summary, Verb};
use spool::{Admission, CommitError, Envelope, Intake, MessageId, Refused};
use tls::TlsInfo;
use uuid::Uuid;

use super::client::Client;
use super::said::SaidOfRecipients;
use crate::limits;
use crate::log::Priority;
use crate::log::event::{Accepted, Event, Tls};
use crate::shard::{Entering, Shard};
use crate::snapshot::Server;
use crate::stage::OnStage;
use crate::stored;
use net::smtp::domain::normalise;

/// A message on its way in. Dropping it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) id: Uuid,
    pub(super) recipients: Vec<Destination>,
    pub(super) mail: Mail,
    /// What the session had agreed on at MAIL.
    tls: Option<Rc<TlsInfo>>,
    begun: Instant,
    intake: Option<Intake>,
}

/// A recipient that was accepted.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) rcpt: Rcpt,
    /// Its transport, where that is not the one of the server.
    pub(super) transport: Option<String>,
}

/// Where a message came in.
#[derive(Clone, Copy)]
pub(super) struct Reception<'s> {
    pub(super) shard: &'s Rc<Shard>,
    pub(super) server: &'s Server,
    pub(super) stage: Option<&'s OnStage>,
    pub(super) client: &'s Client,
    pub(super) hello: Option<&'s Hello>,
}

impl Transaction {
    /// MAIL: refused early when there is no room to take anything.
    pub(super) fn begin(
        shard: &Shard,
        tls: Option<Rc<TlsInfo>>,
        id: Uuid,
        mail: Mail,
    ) -> Result<Transaction, Error> {
        match shard.store.admission() {
            Admission::Open => {}
            Admission::DiskFull => return Err(Error::Storage(Storage::Full)),
            Admission::Unhealthy | Admission::ReadOnly => return Err(Error::Storage(Storage::Failed)),
        }
        if shard.queue.borrow().room() == 0 {
            return Err(Error::Storage(Storage::Full));
        }
        Ok(Transaction { id, recipients: Vec::new(), tls, mail, begun: engine::time::now(), intake: None })
    }

    /// DATA: from here on bytes come in.
    pub(super) fn open_intake(&mut self, shard: &Shard) -> Result<(), Error> {
        self.intake = Some(shard.store.begin(self.mail.size_bytes).map_err(|refused| refusal(&refused))?);
        Ok(())
    }

    /// Takes message bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Some(intake) = &mut self.intake {
            intake.write(bytes);
        }
    }

    /// Waits until the buffers have room for more.
    pub(super) async fn ready(&mut self) -> Result<(), Error> {
        match &mut self.intake {
            Some(intake) => intake.ready().await.map_err(|error| commit_error(&error)),
            None => Ok(()),
        }
    }

    /// The message as it will be stored, for scripts: all of it has come in. `None`: it is too large for them.
    pub(super) async fn message(&mut self, prefix: &[u8]) -> Result<Option<Message>, Error> {
        // What is on disk in part is there in whole before a script waits: the buffers are for those that come in.
        if let Some(intake) = &mut self.intake
            && intake.chunks().is_none()
        {
            intake.spill().await.map_err(|error| commit_error(&error))?;
        }
        let whole = self.content(prefix).await?;
        Ok(Message::parse_later(whole).ok())
    }

    /// All of it, in one piece; may be read again.
    async fn content(&mut self, prefix: &[u8]) -> Result<Bytes, Error> {
        let Some(intake) = &mut self.intake else { return Err(Error::Storage(Storage::Failed)) };
        intake.content(prefix).await.map_err(|error| commit_error(&error))
    }

    /// Reads the transaction that stands in `place` again, for a script that has waited.
    pub(super) fn reread(place: &Rc<Cell<Option<Box<Transaction>>>>, prefix: &Bytes) -> Reread {
        let (place, prefix) = (Rc::clone(place), prefix.clone());
        Box::new(move || {
            let (place, prefix) = (Rc::clone(&place), prefix.clone());
            Box::pin(async move {
                let mut transaction = place.take()?;
                let content = transaction.content(&prefix).await;
                place.set(Some(transaction));
                content.ok()
            })
        })
    }

    /// End of data: makes the message durable and queues it, for those that a script has `queued` it for, or for all
    /// recipients. `prefix` is from [`Transaction::received`].
    pub(super) async fn commit(
        mut self: Box<Self>,
        at: Reception<'_>,
        summary: Summary,
        prefix: Bytes,
        queued: Option<Vec<Queued>>,
    ) -> Result<(), Error> {
        let shard = at.shard;
        let Some(intake) = self.intake.take() else { return Err(Error::Storage(Storage::Failed)) };
        let envelope = self.envelope(at, &summary, queued);
        if shard.queue.borrow().room() < envelope.recipients.len() {
            return Err(Error::Storage(Storage::Full));
        }
        let size_bytes = summary.size_bytes + prefix.len() as u64;
        match intake.commit(&envelope, prefix).await {
            Ok(message) => {
                self.tell_accepted(at, message, &envelope, size_bytes);
                let staged = at.stage.is_some_and(|stage| shard.stage.has(stage));
                if staged {
                    shard.stage.note(message);
                }
                let entering = |index| Entering { staged, ..Entering::new(index) };
                let items = (0u32..).zip(&envelope.recipients).map(|(index, _)| entering(index));
                shard.enqueue_all(message, &envelope, size_bytes, items).await;
                shard.due.notify_one();
                Ok(())
            }
            Err(error) => {
                let id = self.id;
                shard.log.line(Priority::Error, format_args!("[{id}] not stored: {error:?}"));
                Err(commit_error(&error))
            }
        }
    }

    fn sender(&self) -> &[u8] {
        self.mail.sender.as_ref().map_or(&[], Address::as_bytes)
    }

    /// The Received field that goes in front of the message.
    pub(super) fn received(&self, at: Reception<'_>) -> Bytes {
        let Reception { server, client, hello, .. } = at;
        let (mut out, mut id) = (Vec::with_capacity(256), Uuid::encode_buffer());
        Received {
            helo: hello.map(|hello| &*hello.host),
            peer_name: client.name.get(),
            peer_ip: client.remote.ip(),
            by: &server.hostname,
            with: match (hello.map(|hello| hello.verb), &self.tls, &client.user) {
                (_, Some(_), _) if server.http.is_some() => With::Https,
                (_, None, _) if server.http.is_some() => With::Http,
                (Some(Verb::Ehlo), Some(_), Some(_)) => With::Esmtpsa,
                (Some(Verb::Ehlo), Some(_), None) => With::Esmtps,
                (Some(Verb::Ehlo), None, Some(_)) => With::Esmtpa,
                (Some(Verb::Ehlo), None, None) => With::Esmtp,
                (Some(Verb::Helo) | None, _, _) => With::Smtp,
            },
            id: self.id.hyphenated().encode_lower(&mut id),
            recipient: match self.recipients.as_slice() {
                [only] => Some(&only.rcpt.recipient),
                _ => None,
            },
            unix_seconds: engine::time::wall_ms() / 1000,
        }
        .encode(&mut out);
        out.into()
    }

    fn envelope(&self, at: Reception<'_>, summary: &Summary, queued: Option<Vec<Queued>>) -> Envelope {
        let Reception { server, client, hello, .. } = at;
        // `postmaster` without a domain is the one of this host.
        let domain = |address: &Address| -> Bytes {
            normalise(address.domain())
                .or_else(|| normalise(server.hostname.as_bytes()))
                .unwrap_or_default()
                .into()
        };
        let now_ms = engine::time::steady_ms();
        let recipients: Vec<spool::Recipient> = match queued {
            Some(queued) => {
                let mut said = SaidOfRecipients::new(&self.recipients);
                let recipient = |queued: Queued| spool::Recipient {
                    domain: domain(&queued.recipient),
                    fields: stored::queued_fields(&queued, self.sender(), said.of(&queued), now_ms),
                    transport: match &server.transport {
                        Some(usual) if *usual == queued.transport => server.transport_bytes.clone(),
                        _ => queued.transport.into(),
                    },
                    address: queued.recipient.into_bytes().into(),
                };
                queued.into_iter().map(recipient).collect()
            }
            None => self
                .recipients
                .iter()
                .map(|Destination { rcpt, transport }| spool::Recipient {
                    address: Bytes::copy_from_slice(rcpt.recipient.as_bytes()),
                    transport: match transport {
                        Some(own) => Bytes::copy_from_slice(own.as_bytes()),
                        None => server.transport_bytes.clone(),
                    },
                    domain: domain(&rcpt.recipient),
                    fields: stored::recipient_fields(&rcpt.parameters),
                })
                .collect(),
        };
        Envelope {
            transaction: *self.id.as_bytes(),
            server_id: server.id_bytes.clone(),
            sender: Bytes::copy_from_slice(self.sender()),
            received_ms: now_ms,
            peer: Some(client.remote),
            helo: hello.map(|hello| Bytes::copy_from_slice(&hello.host)).unwrap_or_default(),
            auth_user: client.user.as_deref().map(Bytes::copy_from_slice),
            eight_bit: summary.eight_bit || self.mail.body == BodyType::EightBitMime,
            smtputf8: self.mail.parameters.smtp_utf8,
            recipients,
            fields: stored::message_fields(&self.mail.parameters),
        }
    }

    fn tell_accepted(&self, at: Reception<'_>, message: MessageId, envelope: &Envelope, size_bytes: u64) {
        let Reception { shard, server, client, hello, .. } = at;
        let mut to = [&[][..]; limits::LOG_RECIPIENTS];
        let named = to.iter_mut().zip(&envelope.recipients);
        let named = named.map(|(place, recipient)| *place = &recipient.address).count();
        let took = engine::time::now() - self.begun;
        let event = Event::Accepted(&Accepted {
            transaction: self.id,
            server: &server.id,
            remote: client.remote,
            helo: hello.map(|hello| &*hello.host),
            user: client.user.as_deref(),
            tls: self.tls.as_deref().map(Tls::of),
            from: self.sender(),
            to: &to[..named],
            recipients: envelope.recipients.len(),
            size_bytes,
            took_ms: took.as_millis() as u64,
        });
        shard.stats.intake.messages.add(1);
        shard.stats.intake.recipients.add(envelope.recipients.len() as u64);
        shard.stats.intake.bytes.add(size_bytes);
        shard.log.event(&event);
        shard.accounting.record_accepted(message, &event);
    }
}

fn refusal(refused: &Refused) -> Error {
    match refused {
        Refused::DiskFull => Error::Storage(Storage::Full),
        Refused::Memory | Refused::Unhealthy | Refused::ReadOnly => Error::Storage(Storage::Failed),
        Refused::TooLarge => Error::LocalLimit(LocalLimit::MessageTooLarge),
    }
}

fn commit_error(error: &CommitError) -> Error {
    match error {
        CommitError::DiskFull => Error::Storage(Storage::Full),
        CommitError::Io(_) | CommitError::Unavailable => Error::Storage(Storage::Failed),
        CommitError::TooLarge => Error::LocalLimit(LocalLimit::MessageTooLarge),
    }
}
