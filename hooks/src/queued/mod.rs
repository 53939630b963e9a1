//! The hooks of the queue: what is to be done with a queued recipient before an attempt, and after it (reference: hooks 4).
//!
//! An [`Item`] is what both hooks of one attempt share: metadata and `$context`. The facts of `$message` and `$arguments` are
//! gathered for scripts that mention them.

mod dsn;
mod requeue;
pub(crate) mod sign;
#[cfg(test)]
pub(crate) mod tests;
mod try_options;
mod variables;

use std::rc::Rc;

use hostcalls::ItemMetadata;
use hostcalls::mail::{Metadata, TransportNames};
use script::value::Value;
use uuid::Uuid;

use crate::decision::{Decision, Failure};
use crate::members::Reads;
use crate::runner::{About, Kept, Runner, Subject};
use crate::scripts::ScriptId;

pub use dsn::{Dkim, DsnOverrides};
pub use requeue::Requeue;
pub use try_options::{EnvelopeSender, NextHop, Sni, SourceIp, TlsMode, Try, Xclient};
pub use variables::{
    Action, Answer, Attempted, Connection, DsnFacts, Ending, Files, Message, Policies, PolicyFacts, Tls,
    Tlsa, Trouble,
};

/// A queued recipient while its scripts run.
#[derive(Debug)]
pub struct Item {
    subject: Subject,
    metadata: Rc<ItemMetadata>,
    kept: Kept,
}

/// What is to be done before an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Predelivery {
    /// Attempt it, with these settings; `None`: with its transport's.
    Try(Option<Box<Try>>),
    /// Do not, and leave it in the queue.
    Queue(Box<Requeue>),
    /// Remove it, and tell the sender.
    Bounce(Box<DsnOverrides>),
    /// Remove it without a word to the sender. The text is why.
    Delete(Option<String>),
}

/// What is to be done after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Postdelivery {
    /// What would be done without a script.
    Default,
    /// Leave it in the queue.
    Queue(Box<Requeue>),
    /// Remove it, and tell the sender.
    Bounce(Box<DsnOverrides>),
    /// Remove it without a word to the sender.
    Delete,
}

/// What a predelivery script is told of its item.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before<'a> {
    /// Attempts behind it.
    pub retry: u32,
    /// What a script has given it back with, as JSON.
    pub returned: Option<&'a str>,
}

/// Which script ran.
#[derive(Clone, Copy, Debug)]
pub struct Script<'r> {
    /// Runs it.
    pub runner: &'r Runner,
    /// Which one.
    pub id: ScriptId,
    /// The names that a script may give for a transport.
    pub transports: &'r TransportNames,
}

/// What a script can tell of its message, beside what every attempt comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// The metadata of its recipient.
    Metadata,
    /// All that the envelope says: `$message`, the report to the sender, metadata.
    Envelope,
}

impl Script<'_> {
    /// What it can tell of its message.
    pub fn needs(&self) -> Needs {
        self.runner.needs(self.id)
    }
}

impl Item {
    /// The recipient of this number, from 1, of a transaction, with what is stored of it. `kept`: what a script of the same
    /// attempt has left in `$context`.
    pub fn new(transaction: Uuid, queue: u32, metadata: Metadata, kept: Kept) -> Item {
        let subject = Subject::Recipient(transaction, queue);
        Item { subject, metadata: Rc::new(ItemMetadata::new(metadata)), kept }
    }

    /// The hook `predelivery`. `message` is asked when the script mentions it.
    pub async fn before(
        &mut self,
        script: Script<'_>,
        before: Before<'_>,
        message: impl Fn() -> Message,
    ) -> Predelivery {
        let found = |name: &str, reads: &Reads| match name {
            "arguments" => Some(before.value()),
            "message" => Some(message().value(reads)),
            _ => None,
        };
        let read = |decision: Decision| predelivery(&decision, script.transports);
        let decided = self.decide(script, found, read).await;
        decided.unwrap_or_else(|| Predelivery::Queue(Box::new(Requeue::after_failure())))
    }

    /// The hook `postdelivery`. A script that says nothing, fails, or would undo a delivery leaves the default. `message`
    /// and `ending` are asked when the script mentions them; `ending` is told what it reads, and may leave out the rest.
    pub async fn after(
        &mut self,
        script: Script<'_>,
        delivered: bool,
        message: impl Fn() -> Message,
        ending: impl Fn(&Reads) -> Ending,
    ) -> Postdelivery {
        let found = |name: &str, reads: &Reads| match name {
            "arguments" => Some(ending(reads).value(reads)),
            "message" => Some(message().value(reads)),
            _ => None,
        };
        let read = |decision: Decision| postdelivery(&decision, delivered, script.transports);
        self.decide(script, found, read).await.unwrap_or(Postdelivery::Default)
    }

    async fn decide<T>(
        &mut self,
        script: Script<'_>,
        found: impl Fn(&str, &Reads) -> Option<Value>,
        read: impl FnOnce(Decision) -> Result<T, Failure>,
    ) -> Option<T> {
        let about = About { item: Some(Rc::clone(&self.metadata)), rest: None };
        script.runner.decide_about(about, script.id, self.subject, &mut self.kept, found, read).await
    }

    /// The metadata to be stored, if a script has replaced it since the last call.
    pub fn take_metadata(&self) -> Option<Metadata> {
        self.metadata.take_change()
    }

    /// `$context`, for the next script of the same attempt.
    pub fn into_kept(self) -> Kept {
        self.kept
    }
}

fn predelivery(decision: &Decision, transports: &TransportNames) -> Result<Predelivery, Failure> {
    let options = decision.options(0)?;
    Ok(match decision.name {
        "Queue" => Predelivery::Queue(Box::new(Requeue::read(&options, transports)?)),
        "Bounce" => Predelivery::Bounce(Box::new(DsnOverrides::within(&options, transports)?)),
        "Delete" => Predelivery::Delete(options.reason()?),
        _ => Predelivery::Try(Try::read(&options)?),
    })
}

fn postdelivery(
    decision: &Decision,
    delivered: bool,
    transports: &TransportNames,
) -> Result<Postdelivery, Failure> {
    if delivered && decision.name != "Default" {
        return Err(Failure(format!("{}(): the message has been delivered", decision.name)));
    }
    let options = decision.options(0)?;
    Ok(match decision.name {
        "Queue" => Postdelivery::Queue(Box::new(Requeue::read(&options, transports)?)),
        "Bounce" => Postdelivery::Bounce(Box::new(DsnOverrides::within(&options, transports)?)),
        "Delete" => Postdelivery::Delete,
        _ => Postdelivery::Default,
    })
}
