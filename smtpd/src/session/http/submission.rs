//! One submission: its body comes in, the end of data decides, the answer says how.

use std::rc::Rc;
use std::sync::Arc;

use engine::time::Instant;
use net::http::server::{BodyReader, CONTINUE, Framing, RequestHead};
use net::limits::DISCARD_BYTES_MAX;
use net::smtp::address::Address;
use net::smtp::error::PeerMisbehaved;
use net::smtp::parameters::{MailParameters, RcptParameters};
use net::smtp::reply::Reply;
use net::smtp::server::{BodyType, Mail, Rcpt, Written, queued_as};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::answer::Answer;
use super::options::{self, Options, Packed};
use super::parts::{Complete, Fault, Parts};
use super::request::{self, Welcome};
use super::{Connection, Lost, body_bytes_max};
use crate::limits;
use crate::log::event::Action;
use crate::session::driver::Settled;
use crate::session::ending::Ending;
use crate::session::transaction::Transaction;

/// A body on its way in.
struct Upload {
    body: BodyReader,
    taken_bytes: u64,
    /// Of those, since it was refused.
    dropped_bytes: u64,
    begun: Instant,
}

/// Why a body did not come whole.
enum Cut {
    Lost(Lost),
    Malformed(String),
    /// It was refused, and goes on without end.
    Endless,
}

impl Connection {
    /// Takes a message in. False: the connection is over.
    pub(super) async fn submit(&mut self, head: RequestHead, welcome: &Welcome) -> bool {
        if head.expects_continue() && self.ahead.is_empty() && !self.send(CONTINUE.into()).await {
            return false;
        }
        let driver = &mut self.driver;
        let id = driver.next_id();
        let length = match welcome.framing {
            Framing::Length(bytes) => Some(bytes),
            Framing::Chunked => None,
        };
        let transaction = Transaction::begin(&driver.shard, driver.tls.clone(), id, blank(length));
        let (shard, server) = (Rc::clone(&driver.shard), Arc::clone(&driver.server));
        let mut parts = Parts::new(shard, server, &welcome.boundary, transaction.map(Box::new));
        let cut = self.receive_body(&mut parts, welcome.framing).await.err();
        let (pretty, keep) = (welcome.pretty, head.keep_alive && cut.is_none());
        let answer = match cut {
            Some(Cut::Lost(Lost::Gone)) => {
                self.driver.forget_transaction();
                return false;
            }
            Some(Cut::Lost(Lost::TimedOut)) => {
                self.driver.log_refusal(PeerMisbehaved::TimedOut.into(), Action::Session);
                Answer::error(408, "the body did not come in time", pretty)
            }
            Some(Cut::Malformed(text)) => Answer::error(400, &text, pretty),
            Some(Cut::Endless) | None => match self.settle(head, parts, id, pretty).await {
                Ok(answer) => answer,
                Err(last) => {
                    self.driver.forget_transaction();
                    return self.answer(&last, false, true).await;
                }
            },
        };
        self.driver.forget_transaction();
        self.answer(&answer, keep, true).await
    }

    async fn receive_body(&mut self, parts: &mut Parts, framing: Framing) -> Result<(), Cut> {
        let mut upload = Upload {
            body: BodyReader::new(framing),
            taken_bytes: 0,
            dropped_bytes: 0,
            begun: engine::time::now(),
        };
        let most = body_bytes_max(&self.driver.server);
        let ahead = std::mem::take(&mut self.ahead);
        let mut rest = &ahead[..];
        let mut done = upload.take(&mut rest, parts, most)?;
        self.ahead = rest.to_vec();
        parts.catch_up().await;
        while !done {
            let timeouts = &self.driver.server.session.timeouts;
            let earned = upload.taken_bytes / timeouts.data_bytes_per_second.max(1);
            let patience = timeouts.data.saturating_add(std::time::Duration::from_secs(earned));
            let left = (upload.begun + patience) - engine::time::now();
            let received = self.receive(left.min(timeouts.idle)).await.map_err(Cut::Lost)?;
            let mut rest = &received[..];
            done = upload.take(&mut rest, parts, most)?;
            self.ahead.extend_from_slice(rest);
            // The ring has its buffer back before a wait.
            drop(received);
            parts.catch_up().await;
        }
        Ok(())
    }

    /// What has come is complete or refused: what becomes of it. The error is an answer after which the connection closes.
    async fn settle(
        &mut self,
        head: RequestHead,
        parts: Parts,
        id: Uuid,
        pretty: bool,
    ) -> Result<Answer, Answer> {
        let complete = match parts.complete().await {
            Ok(complete) => complete,
            Err(Fault::Request(status, text)) => return Ok(Answer::error(status, &text, pretty)),
            Err(Fault::Message(error)) => {
                self.driver.log_refusal(error, Action::Message);
                return Ok(Answer::refused(error, &id.to_string(), None, pretty));
            }
        };
        let Complete { options, transaction, summary } = complete;
        let options = match read_options(options, self.driver.server.session.recipients_max).await {
            Ok(options) => options,
            Err(fault) => {
                let (status, text) = fault;
                return Ok(Answer::error(status, &text, pretty));
            }
        };
        self.driver.tap.note(format_args!("message, {} bytes", summary.size_bytes));
        let metadata = options.metadata.clone();
        let metadata = metadata.as_deref();
        if let Err(text) = self.note(head, options, transaction) {
            return Ok(Answer::error(400, &text, pretty));
        }
        self.driver.learn_name().await;
        let settled = self.driver.settle_message(summary).await;
        self.answer_of(settled, &id.to_string(), metadata, pretty)
    }

    /// Keeps who sends to whom, for the scripts too.
    fn note(
        &mut self,
        head: RequestHead,
        options: Options,
        mut transaction: Box<Transaction>,
    ) -> Result<(), String> {
        let Options { sender, recipients, metadata } = options;
        let is_ascii = |address: &Address| address.is_ascii();
        transaction.mail.parameters.smtp_utf8 =
            !(sender.iter().all(is_ascii) && recipients.iter().all(is_ascii));
        match &sender {
            Some(sender) => self.driver.tap.note(format_args!("from <{sender}>")),
            None => self.driver.tap.note(format_args!("from <>")),
        }
        transaction.mail.sender = sender;
        self.driver.note_transaction(transaction);
        for recipient in recipients {
            self.driver.tap.recipient(&recipient);
            let (parameters, written) = (RcptParameters::default(), Written::default());
            self.driver.note_recipient(Rcpt { recipient, parameters, written }, None);
        }
        let Some(talk) = self.driver.talk.as_mut().filter(|_| self.driver.server.hooks.eod.is_some()) else {
            return Ok(());
        };
        let mut submission = request::shown(head);
        if let Some(json) = metadata {
            let value = script::std::json::decode(json.get().as_bytes(), false);
            let value = value.map_err(|_| "options: metadata: no script can have such a value".to_owned())?;
            submission.metadata = Some(value);
        }
        talk.conversation.transaction.submission = Some(Box::new(submission));
        Ok(())
    }

    fn answer_of(
        &mut self,
        settled: Settled,
        id: &str,
        metadata: Option<&RawValue>,
        pretty: bool,
    ) -> Result<Answer, Answer> {
        let decided = |reply: &Reply| Answer::decided(reply, id, metadata, pretty);
        match settled {
            Settled::Queued(id) => Ok(decided(&queued_as(&id.to_string()))),
            Settled::Said(reply) => Ok(decided(&reply)),
            Settled::Failed(error) => {
                self.driver.log_refusal(error, Action::Message);
                Ok(Answer::refused(error, id, metadata, pretty))
            }
            Settled::Refused(refusal) => {
                self.driver.log_reply(&refusal.reply, Action::Message);
                if refusal.disconnect {
                    self.driver.note_ending(|_| Ending::Said(refusal.reply.clone(), "EOD"));
                    return Err(decided(&refusal.reply));
                }
                Ok(decided(&refusal.reply))
            }
        }
    }
}

impl Upload {
    /// Takes what has arrived of it. True: all has come, and what is left of `input` follows it.
    fn take(&mut self, input: &mut &[u8], parts: &mut Parts, most: u64) -> Result<bool, Cut> {
        let taken = self.body.receive(input, |data| {
            let bytes = data.len() as u64;
            self.taken_bytes += bytes;
            if self.taken_bytes > most {
                parts.too_large();
            }
            if parts.is_refused() {
                self.dropped_bytes += bytes;
            } else {
                parts.take(data);
            }
        });
        let done = taken.map_err(|error| Cut::Malformed(bad_chunks(&error).to_owned()))?;
        if self.dropped_bytes > DISCARD_BYTES_MAX && !done { Err(Cut::Endless) } else { Ok(done) }
    }
}

fn bad_chunks(error: &net::http::Error) -> &'static str {
    match error {
        net::http::Error::Malformed(what) => what,
        _ => "the trailer behind the last chunk is too large",
    }
}

/// Large options take their time; packed ones may become large.
async fn read_options(packed: Packed, recipients_max: u32) -> Result<Options, (u16, String)> {
    let is_small = !packed.is_gzip && packed.bytes.len() <= limits::SUBMISSION_OPTIONS_INLINE_BYTES;
    let read = match is_small {
        true => options::read(&packed, recipients_max),
        false => {
            let read = move || options::read(&packed, recipients_max);
            let read = engine::offload::run(limits::SUBMISSION_OPTIONS_PATIENCE, read).await;
            read.map_err(|error| (503, format!("options: {error}")))?
        }
    };
    read.map_err(|text| (400, text))
}

/// Of a message whose sender comes with it.
fn blank(length: Option<u64>) -> Mail {
    Mail {
        sender: None,
        size_bytes: length,
        body: BodyType::SevenBit,
        auth: None,
        parameters: MailParameters::default(),
        written: Written::default(),
    }
}
