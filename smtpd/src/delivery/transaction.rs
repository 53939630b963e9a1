//! The transactions of a connection: envelope, message, and what each recipient ends with.

use std::rc::Rc;

use net::smtp::address::Address;
use net::smtp::client::{self, BodyForm, Cause, DotStuffer, Envelope, LineEnds, Step};
use net::smtp::error::{Error, Network};
use queue::{Attempt, Outcome};
use spool::ReadError;

use super::attempt::Connection;
use super::distrust::Distrust;
use super::errand::Errand;
use super::rendered::Rendered;
use super::report::Report;
use crate::limits;
use crate::shard::Shard;
use crate::stored::{self, EIGHT_BIT};

/// Why a message could not be sent to its end. The connection is of no more use.
enum Broken {
    /// The connection, or the peer on it.
    Peer(Network),
    /// The stored message.
    Message(Outcome),
}

/// How a transaction ended.
enum Ended {
    /// With an outcome for each recipient.
    Answered(Vec<client::Outcome>),
    /// The stored message could not be sent.
    Unsent(Outcome),
    /// The session was over before it began.
    Over,
}

impl Connection {
    /// Gives the peer a message: in one transaction, or in several where it takes fewer recipients at once. `None`:
    /// the connection was gone before the peer said anything about it.
    pub(super) async fn transact(&mut self, shard: &Rc<Shard>, errand: &Errand) -> Option<Report> {
        let attempt = &errand.attempt;
        let body = match Rendered::open(shard, attempt).await {
            Ok(body) => body,
            Err(error) => return Some(Report::for_all(unreadable(error))),
        };
        let envelope = match envelope(shard, errand, body.len()).await {
            Ok(envelope) => envelope,
            Err(outcome) => return Some(Report::for_all(outcome)),
        };
        let distrust = Distrust::here();
        if distrust.chunking_fails(self.address()) {
            self.session.avoid_chunking();
        }
        let again = (attempt.recipients.len() > 1).then(|| envelope.clone());
        let mut outcomes = match self.carry(envelope, body).await {
            Ended::Answered(outcomes) => outcomes,
            Ended::Unsent(outcome) => return Some(Report::for_all(outcome)),
            Ended::Over => return None,
        };
        if outcomes.iter().all(unheard) {
            return None;
        }
        let all_had_a_turn = match &again {
            Some(envelope) => self.carry_rest(shard, attempt, envelope, &mut outcomes).await,
            None => true,
        };
        if outcomes.iter().any(|outcome| outcome.is_bdat_refused() || outcome.is_uncertain()) {
            distrust.distrust_chunking(self.address());
        }
        let report = Report::answered(outcomes, self.session.capabilities().dsn);
        Some(if all_had_a_turn { report } else { report.rest_not_tried() })
    }

    /// Further transactions for those whom the peer did not take at once, as long as each leaves fewer. `false`:
    /// some have had no turn.
    async fn carry_rest(
        &mut self,
        shard: &Rc<Shard>,
        attempt: &Attempt,
        envelope: &Envelope,
        outcomes: &mut [client::Outcome],
    ) -> bool {
        let mut before = outcomes.len();
        loop {
            let left = left_over(outcomes);
            if left.is_empty() || left.len() == before {
                return true;
            }
            before = left.len();
            if !self.is_usable() {
                return false;
            }
            let recipients = left.iter().map(|&index| envelope.recipients[index].clone()).collect();
            let Ok(body) = Rendered::open(shard, attempt).await else { return false };
            match self.carry(Envelope { recipients, ..envelope.clone() }, body).await {
                Ended::Answered(further) if !further.iter().all(unheard) => {
                    left.iter().zip(further).for_each(|(&index, outcome)| outcomes[index] = outcome);
                }
                Ended::Answered(_) | Ended::Unsent(_) | Ended::Over => return false,
            }
        }
    }

    /// One transaction.
    async fn carry(&mut self, envelope: Envelope, body: Rendered) -> Ended {
        match self.advance().await {
            Step::Ready => self.session.begin(envelope),
            _ => return Ended::Over,
        }
        let mut body = Some(body);
        let mut broken = None;
        loop {
            match self.advance().await {
                Step::SendBody(form) => match (body.take(), broken) {
                    (Some(body), None) => match self.send_message(body, form).await {
                        Ok(()) => self.session.body_sent(),
                        Err(Broken::Peer(how)) => {
                            broken = Some(how);
                            self.hear_last_words(how).await;
                        }
                        Err(Broken::Message(outcome)) => {
                            // Without its end the peer discards what it got (RFC 5321 section 4.1.1.4).
                            self.session.lost(Network::ConnectionLost);
                            return Ended::Unsent(outcome);
                        }
                    },
                    (_, how) => self.session.lost(how.unwrap_or(Network::ConnectionLost)),
                },
                Step::Done(outcomes) => return Ended::Answered(outcomes),
                Step::Closed(_) | Step::Ready | Step::NeedInput | Step::StartTls => return Ended::Over,
            }
        }
    }

    /// Sends what is to be sent, and the message behind it: in one write when it is small.
    async fn send_message(&mut self, mut body: Rendered, form: BodyForm) -> Result<(), Broken> {
        let mut stuffer = (form == BodyForm::Dots).then(DotStuffer::new);
        let mut line_ends = LineEnds::new();
        let mut list = Vec::with_capacity(8);
        let output = self.session.take_output();
        self.watch();
        self.tap.sent(&output);
        if !output.is_empty() {
            list.push(output);
        }
        let (mut held_bytes, mut body_bytes) = (0, 0);
        while let Some(chunk) = body.next().await.map_err(read_failure)? {
            held_bytes += chunk.len();
            body_bytes += chunk.len() as u64;
            match &mut stuffer {
                Some(stuffer) => stuffer.push(chunk, &mut list).map_err(|_| unclean())?,
                None => {
                    line_ends.push(&chunk).map_err(|_| unclean())?;
                    list.push(chunk);
                }
            }
            if held_bytes >= limits::BODY_WRITE_BYTES {
                self.send(std::mem::take(&mut list)).await.map_err(Broken::Peer)?;
                held_bytes = 0;
            }
        }
        match (stuffer, form) {
            (Some(stuffer), _) => stuffer.finish(&mut list).map_err(|_| unclean())?,
            (None, BodyForm::Chunk { size_bytes }) if size_bytes != body_bytes => {
                let text = format!("the stored message has {body_bytes} bytes instead of {size_bytes}");
                return Err(Broken::Message(Outcome::LocalFault(text.into())));
            }
            (None, _) => line_ends.finish().map_err(|_| unclean())?,
        }
        self.tap.note(format_args!("message, {body_bytes} bytes"));
        self.send(list).await.map_err(Broken::Peer)
    }

    /// A peer that closes while the message is being sent may have said why.
    async fn hear_last_words(&mut self, how: Network) {
        if how == Network::ConnectionLost
            && let Ok(Ok(words)) = engine::time::timeout(limits::LAST_WORDS, self.stream.recv()).await
            && !words.is_empty()
        {
            self.input = Some((words, 0));
        }
    }
}

async fn envelope(shard: &Shard, errand: &Errand, size_bytes: u64) -> Result<Envelope, Outcome> {
    let (attempt, wishes) = (&errand.attempt, &errand.wishes);
    let parse = |text: &[u8]| {
        Address::parse(text).map_err(|_| {
            let text = format!("\"{}\" is not an address", String::from_utf8_lossy(text));
            Outcome::Permanent(text.into())
        })
    };
    let sender = match (&wishes.sender, &*attempt.sender) {
        (Some((sender, _)), _) => sender.clone(),
        (None, []) => None,
        (None, text) => Some(parse(text)?),
    };
    let (came, of_recipients) = stored::parameters(shard, attempt).await.map_err(unreadable)?;
    let mut parameters = wishes.given(None).mail(came);
    let mut recipients = Vec::with_capacity(attempt.recipients.len());
    for (index, (recipient, came)) in attempt.recipients.iter().zip(of_recipients).enumerate() {
        let readdressed = errand.readdressed(index);
        let parameters = wishes.given(readdressed).rcpt(came);
        let address = match readdressed {
            Some((address, _)) => address.clone(),
            None => parse(&recipient.address)?,
        };
        recipients.push(client::Recipient { address, parameters });
    }
    let eight_bit = attempt.flags & EIGHT_BIT != 0;
    // What came with SMTPUTF8 and has only ASCII in it has no need of it.
    parameters.smtp_utf8 &= eight_bit;
    Ok(Envelope { sender, recipients, size_bytes, eight_bit, parameters })
}

/// Who is for the next transaction, by index.
fn left_over(outcomes: &[client::Outcome]) -> Vec<usize> {
    (0..outcomes.len()).filter(|&index| outcomes[index].is_left_over()).collect()
}

/// The connection ended before the peer said anything about the transaction.
fn unheard(outcome: &client::Outcome) -> bool {
    matches!(outcome.phase, client::Phase::Rset | client::Phase::Mail)
        && outcome.cause == Cause::Error(Error::Network(Network::ConnectionLost))
}

fn read_failure(error: ReadError) -> Broken {
    Broken::Message(unreadable(error))
}

pub(super) fn unreadable(error: ReadError) -> Outcome {
    match error {
        ReadError::Corrupt => Outcome::Damaged("the stored message is damaged".into()),
        ReadError::Gone => Outcome::Permanent("the stored message is gone".into()),
        ReadError::Io(error) => {
            Outcome::LocalFault(format!("cannot read the stored message: {error}").into())
        }
    }
}

fn unclean() -> Broken {
    Broken::Message(Outcome::Permanent("the stored message has a bare CR or LF".into()))
}
