//! One message on its way to some recipients.

use super::Capabilities;
use super::config::Config;
use super::outcome::{Aim, BodyForm, Cause, Envelope, Outcome, Protection};
use super::phase::Phase;
use crate::limits::{CLIENT_RECIPIENTS_MAX, EARLY_BODY_BYTES_MAX};
use crate::smtp::address::Address;
use crate::smtp::error::{Error, PeerIncompatible};
use crate::smtp::output::Output;
use crate::smtp::parameters::{MailParameters, RcptParameters};
use crate::smtp::reply::Reply;

/// A transaction in flight: what is known of each recipient.
#[derive(Debug)]
pub(super) struct Transaction {
    envelope: Envelope,
    aim: Aim,
    outcomes: Vec<Option<Outcome>>,
    /// The recipients to give the peer, by index.
    offered: Vec<u8>,
    /// How many of them have been answered.
    answered: usize,
    /// Whether the peer accepted any of them.
    pub(super) any_accepted: bool,
    /// Whether the peer accepted MAIL, so that a transaction is open there.
    pub(super) mail_accepted: bool,
    /// Whether MAIL and RCPT, with what begins the message, leave in one write.
    pub(super) pipelined: bool,
    /// How the message is sent.
    pub(super) form: BodyForm,
    /// Whether the peer takes the parameters of RFC 3461.
    tells_dsn: bool,
}

// Indices are kept as bytes.
const _: () = assert!(CLIENT_RECIPIENTS_MAX <= 256);

impl Transaction {
    /// Decides what needs no peer to fail. `offered` is empty when that leaves nobody.
    pub(super) fn new(
        envelope: Envelope,
        aim: Aim,
        peer: Capabilities,
        protection: Protection,
        chunking: bool,
        config: &Config,
    ) -> Transaction {
        let count = envelope.recipients.len();
        assert!((1..=CLIENT_RECIPIENTS_MAX).contains(&count), "{count} recipients in one transaction");
        let mut transaction = Transaction {
            outcomes: vec![None; count],
            offered: Vec::with_capacity(count),
            answered: 0,
            any_accepted: false,
            mail_accepted: false,
            // One that is refused must be known before anything behind it is sent.
            pipelined: peer.pipelining && (aim == Aim::Deliver || (aim == Aim::AllOrNone && count == 1)),
            form: if chunking && peer.chunking {
                BodyForm::Chunk { size_bytes: envelope.size_bytes }
            } else {
                BodyForm::Dots
            },
            tells_dsn: peer.dsn,
            envelope,
            aim,
        };
        if let Some(lack) = transaction.lack(peer, protection, config) {
            transaction.decide_rest(Phase::Mail, &Cause::Error(Error::PeerIncompatible(lack)));
        }
        transaction.offer(peer);
        if aim == Aim::AllOrNone
            && let Some(Outcome { phase, cause }) = transaction.outcomes.iter().flatten().next().cloned()
        {
            transaction.decide_rest(phase, &cause);
            transaction.offered.clear();
        }
        transaction
    }

    /// Decides whom to give the peer.
    fn offer(&mut self, peer: Capabilities) {
        let recipients_max = peer.limits.rcpt_max.map_or(usize::MAX, |max| max as usize);
        let domains_max = peer.limits.rcpt_domain_max.map_or(usize::MAX, |max| max as usize);
        let mut domains: Vec<&[u8]> = Vec::new();
        for (index, recipient) in self.envelope.recipients.iter().enumerate() {
            if self.outcomes[index].is_some() {
                continue;
            }
            let address = &recipient.address;
            let lack = if !peer.smtp_utf8 && !address.is_ascii() {
                PeerIncompatible::SmtpUtf8
            } else if self.offered.len() >= recipients_max || !has_room(&mut domains, address, domains_max) {
                PeerIncompatible::TooManyRecipients
            } else {
                self.offered.push(index as u8);
                continue;
            };
            self.outcomes[index] = Some(Outcome { phase: Phase::Rcpt, cause: Cause::Error(lack.into()) });
        }
    }

    /// What the peer lacks for this message, whoever it is for.
    fn lack(&self, peer: Capabilities, protection: Protection, config: &Config) -> Option<PeerIncompatible> {
        let envelope = &self.envelope;
        let verified = protection == Protection::Verified;
        if envelope.parameters.require_tls && !(verified && peer.require_tls) {
            Some(PeerIncompatible::RequireTls)
        } else if peer.size_bytes_max.is_some_and(|max| max > 0 && envelope.size_bytes > max) {
            Some(PeerIncompatible::Size)
        } else if envelope.eight_bit && !peer.eight_bit_mime && !config.eight_bit_as_is {
            Some(PeerIncompatible::EightBitMime)
        } else if !peer.smtp_utf8 && envelope.concerns_all_smtp_utf8() {
            Some(PeerIncompatible::SmtpUtf8)
        } else {
            None
        }
    }

    /// Whether there is anybody to give the peer.
    pub(super) fn is_offered(&self) -> bool {
        !self.offered.is_empty()
    }

    /// Whether a message goes out right behind its envelope, in the hope that somebody is accepted. When nobody is,
    /// it was sent in vain, so only a short one is.
    pub(super) fn sends_body_early(&self) -> bool {
        let short = self.envelope.size_bytes <= EARLY_BODY_BYTES_MAX;
        self.pipelined && short && matches!(self.form, BodyForm::Chunk { .. })
    }

    /// Whether `reply` to BDAT says that the peer does not know it, or has not understood what came before.
    pub(super) fn refuses_bdat(&self, reply: &Reply) -> bool {
        let is_chunk = matches!(self.form, BodyForm::Chunk { .. });
        is_chunk && self.any_accepted && matches!(reply.code(), 500..=504)
    }

    /// Whether every RCPT has been answered.
    pub(super) fn all_answered(&self) -> bool {
        self.answered == self.offered.len()
    }

    /// Whether the answer to the next RCPT settles all recipients that have no outcome yet.
    pub(super) fn is_settled_by(&self, reply: &Reply) -> bool {
        match self.aim {
            Aim::Deliver => false,
            Aim::AllOrNone => !reply.is_positive() && !self.pipelined,
            Aim::Probe => self.answered + 1 == self.offered.len(),
        }
    }

    /// The answer to the next RCPT: `None` for accepted.
    pub(super) fn answer_recipient(&mut self, refusal: Option<Cause>) {
        let index = usize::from(self.offered[self.answered]);
        self.answered += 1;
        match refusal {
            Some(cause) => {
                self.outcomes[index].get_or_insert(Outcome { phase: Phase::Rcpt, cause });
            }
            None => self.any_accepted |= self.mail_accepted,
        }
    }

    /// Gives all recipients that have none this outcome.
    pub(super) fn decide_rest(&mut self, phase: Phase, cause: &Cause) {
        for outcome in &mut self.outcomes {
            outcome.get_or_insert_with(|| Outcome { phase, cause: cause.clone() });
        }
    }

    /// Gives the first recipient that has none this outcome.
    pub(super) fn decide_next(&mut self, phase: Phase, cause: Cause) {
        if let Some(outcome) = self.outcomes.iter_mut().find(|outcome| outcome.is_none()) {
            *outcome = Some(Outcome { phase, cause });
        }
    }

    /// Whether a recipient has no outcome yet.
    pub(super) fn is_undecided(&self) -> bool {
        self.outcomes.iter().any(Option::is_none)
    }

    /// The outcomes, once all are decided.
    pub(super) fn into_outcomes(self) -> Vec<Outcome> {
        let decided = |outcome: Option<Outcome>| outcome.expect("a transaction ends when all is decided");
        self.outcomes.into_iter().map(decided).collect()
    }

    pub(super) fn push_mail(&self, peer: Capabilities, output: &mut Output) {
        let Envelope { sender, size_bytes, eight_bit, parameters, .. } = &self.envelope;
        let buffer = output.buffer();
        buffer.extend_from_slice(b"MAIL FROM:<");
        buffer.extend_from_slice(sender.as_ref().map_or(b"", |sender| sender.as_bytes()));
        buffer.push(b'>');
        if peer.size_bytes_max.is_some() && self.aim != Aim::Probe {
            buffer.extend_from_slice(format!(" SIZE={size_bytes}").as_bytes());
        }
        if peer.eight_bit_mime && *eight_bit {
            buffer.extend_from_slice(b" BODY=8BITMIME");
        }
        if peer.smtp_utf8 && self.envelope.needs_smtp_utf8() {
            buffer.extend_from_slice(b" SMTPUTF8");
        }
        if parameters.require_tls {
            buffer.extend_from_slice(b" REQUIRETLS");
        }
        if self.tells_dsn {
            push_mail_dsn(parameters, buffer);
        }
        buffer.extend_from_slice(b"\r\n");
    }

    /// BDAT for the whole message (RFC 3030 2).
    pub(super) fn push_bdat(&self, output: &mut Output) {
        let command = format!("BDAT {} LAST\r\n", self.envelope.size_bytes);
        output.buffer().extend_from_slice(command.as_bytes());
    }

    /// RCPT for the recipient whose answer is awaited next.
    pub(super) fn push_next_rcpt(&self, output: &mut Output) {
        self.push_rcpt(self.offered[self.answered], output);
    }

    /// RCPT for all.
    pub(super) fn push_all_rcpt(&self, output: &mut Output) {
        for &index in &self.offered {
            self.push_rcpt(index, output);
        }
    }

    fn push_rcpt(&self, index: u8, output: &mut Output) {
        let buffer = output.buffer();
        buffer.extend_from_slice(b"RCPT TO:<");
        let recipient = &self.envelope.recipients[usize::from(index)];
        buffer.extend_from_slice(recipient.address.as_bytes());
        buffer.push(b'>');
        if self.tells_dsn {
            push_rcpt_dsn(&recipient.parameters, buffer);
        }
        buffer.extend_from_slice(b"\r\n");
    }
}

impl Envelope {
    /// Whether no recipient can have it without SMTPUTF8.
    fn concerns_all_smtp_utf8(&self) -> bool {
        self.parameters.smtp_utf8 || self.sender.as_ref().is_some_and(|sender| !sender.is_ascii())
    }

    fn needs_smtp_utf8(&self) -> bool {
        self.concerns_all_smtp_utf8() || self.recipients.iter().any(|to| !to.address.is_ascii())
    }
}

/// Whether a transaction with recipients at `domains` may have one at `address` too; notes its domain.
fn has_room<'a>(domains: &mut Vec<&'a [u8]>, address: &'a Address, domains_max: usize) -> bool {
    if domains_max == usize::MAX || domains.iter().any(|known| known.eq_ignore_ascii_case(address.domain())) {
        return true;
    }
    let room = domains.len() < domains_max;
    if room {
        domains.push(address.domain());
    }
    room
}

fn push_mail_dsn(parameters: &MailParameters, buffer: &mut Vec<u8>) {
    if let Some(ret) = parameters.ret {
        buffer.extend_from_slice(b" RET=");
        buffer.extend_from_slice(ret.name().as_bytes());
    }
    if let Some(id) = &parameters.envelope_id {
        buffer.extend_from_slice(b" ENVID=");
        id.encode(buffer);
    }
}

fn push_rcpt_dsn(parameters: &RcptParameters, buffer: &mut Vec<u8>) {
    if let Some(notify) = parameters.notify {
        buffer.extend_from_slice(b" NOTIFY=");
        notify.encode(buffer);
    }
    if let Some(original) = &parameters.original_recipient {
        buffer.extend_from_slice(b" ORCPT=");
        original.encode(buffer);
    }
}
