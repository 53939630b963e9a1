//! A transaction: envelope, message, replies.

use super::config::Protocol;
use super::outcome::{BodyForm, Cause};
use super::phase::Phase;
use super::session::Session;
use super::transaction::Transaction;
use crate::smtp::error::PeerMisbehaved;
use crate::smtp::reply::Reply;

impl Session {
    /// Sends as much of the envelope as the peer takes at once.
    pub(super) fn open_transaction(&mut self, transaction: Transaction) {
        let reset_first = self.needs_reset;
        if reset_first {
            self.output.push_constant(b"RSET\r\n");
        }
        let early_body = transaction.sends_body_early();
        if transaction.pipelined || !reset_first {
            transaction.push_mail(self.capabilities, &mut self.output);
        }
        if transaction.pipelined {
            transaction.push_all_rcpt(&mut self.output);
            match transaction.form {
                BodyForm::Dots => self.output.push_constant(b"DATA\r\n"),
                BodyForm::Chunk { .. } if early_body => transaction.push_bdat(&mut self.output),
                BodyForm::Chunk { .. } => {}
            }
        }
        let form = transaction.form;
        self.transaction = Some(Box::new(transaction));
        let first = if reset_first { Phase::Rset } else { Phase::Mail };
        if early_body { self.send_body(form, first) } else { self.wait_for(first) }
    }

    pub(super) fn take_rset(&mut self, reply: &Reply) {
        if !reply.is_positive() {
            return self.unexpected();
        }
        self.needs_reset = false;
        self.ask_next(Phase::Mail);
    }

    pub(super) fn take_mail(&mut self, reply: Reply) {
        if reply.is_intermediate() {
            return self.unexpected();
        }
        let transaction = self.transaction();
        let accepted = reply.is_positive();
        transaction.mail_accepted = accepted;
        if !accepted {
            transaction.decide_rest(Phase::Mail, &Cause::Reply(reply));
        }
        // The answers to what was sent behind MAIL come in any case.
        if accepted || transaction.pipelined {
            self.ask_next(Phase::Rcpt);
        } else {
            self.finish();
        }
    }

    pub(super) fn take_rcpt(&mut self, reply: Reply) {
        if reply.is_intermediate() {
            return self.unexpected();
        }
        let transaction = self.transaction();
        if transaction.is_settled_by(&reply) {
            transaction.decide_rest(Phase::Rcpt, &Cause::Reply(reply));
            return self.finish();
        }
        let refusal = (!reply.is_positive()).then_some(Cause::Reply(reply));
        transaction.answer_recipient(refusal);
        if !transaction.all_answered() {
            return self.ask_next(Phase::Rcpt);
        }
        let (form, early_body) = (transaction.form, transaction.sends_body_early());
        let wanted = transaction.any_accepted;
        match form {
            BodyForm::Dots if wanted || transaction.pipelined => self.ask_next(Phase::Data),
            // It is on its way, or there already.
            BodyForm::Chunk { .. } if early_body => self.wait_for(Phase::Eod),
            BodyForm::Chunk { .. } if wanted => {
                let transaction = self.transaction.as_ref().expect("answered within a transaction");
                transaction.push_bdat(&mut self.output);
                self.send_body(form, Phase::Eod);
            }
            BodyForm::Dots | BodyForm::Chunk { .. } => self.finish(),
        }
    }

    pub(super) fn take_data(&mut self, reply: Reply) {
        if reply.is_positive() {
            self.unexpected();
        } else if !reply.is_intermediate() {
            self.transaction().decide_rest(Phase::Data, &Cause::Reply(reply));
            self.finish();
        } else if self.transaction().any_accepted {
            self.send_body(BodyForm::Dots, Phase::Eod);
        } else if self.config.protocol == Protocol::Lmtp {
            // RFC 2033 4.2: this peer must refuse DATA, and what it says after a lone dot is nowhere written.
            self.unexpected();
        } else {
            // RFC 2920 3.1: DATA was accepted though no recipient was; end it with a lone dot.
            self.output.push_constant(b".\r\n");
            self.wait_for(Phase::Eod);
        }
    }

    /// The reply to the final dot or the last chunk; with LMTP one for each recipient that was accepted.
    pub(super) fn take_end(&mut self, reply: Reply) {
        if reply.is_intermediate() {
            return self.unexpected();
        }
        let each = self.config.protocol == Protocol::Lmtp;
        let is_sending = self.is_sending();
        let transaction = self.transaction();
        if transaction.refuses_bdat(&reply) {
            return self.fail(Cause::Error(PeerMisbehaved::BdatRefused.into()));
        }
        if is_sending {
            // Half of a message cannot be taken back, and nothing can come behind it.
            return if reply.is_positive() { self.unexpected() } else { self.fail(Cause::Reply(reply)) };
        }
        let accepted = reply.is_positive();
        if each {
            transaction.decide_next(Phase::Eod, Cause::Reply(reply));
            if transaction.is_undecided() {
                return self.wait_for(Phase::Eod);
            }
        } else {
            transaction.decide_rest(Phase::Eod, &Cause::Reply(reply));
        }
        // RFC 3030 2: after a chunk that was refused the peer is within the transaction still.
        let over = accepted || transaction.form == BodyForm::Dots;
        transaction.mail_accepted &= !over;
        self.finish();
    }

    /// Sends the command for `phase`, unless it has left already, and waits for its answer.
    fn ask_next(&mut self, phase: Phase) {
        let transaction = self.transaction.as_ref().expect("asked within a transaction");
        if !transaction.pipelined {
            match phase {
                Phase::Mail => transaction.push_mail(self.capabilities, &mut self.output),
                Phase::Rcpt => transaction.push_next_rcpt(&mut self.output),
                Phase::Data => self.output.push_constant(b"DATA\r\n"),
                other => unreachable!("{other} is no part of an envelope"),
            }
        }
        self.wait_for(phase);
    }

    /// Ends the transaction, in which all is decided.
    fn finish(&mut self) {
        let transaction = self.transaction.take().expect("finished within a transaction");
        self.needs_reset = transaction.mail_accepted;
        self.settle(transaction.into_outcomes());
    }

    fn transaction(&mut self) -> &mut Transaction {
        self.transaction.as_mut().expect("these replies are awaited within a transaction")
    }
}
