//! Scripts that decide: the hooks of a server, from the text in the configuration to a typed decision.
//!
//! * [`Scripts`] are the compiled hooks of one configuration, immutable, for all shards. A server names one by [`ScriptId`].
//! * [`Runner`] runs them on one shard.
//! * [`queued`] has the hooks of the queue, which run before and after an attempt.
//! * [`Conversation`] is what the hooks of one connection share: `$context`, and the facts that become `$connection` and
//!   `$transaction`. Its methods are the hooks: [`Conversation::connect`], [`Conversation::mail`] and so on; each answers with
//!   what the server must do, in its own words ([`Verdict`], a [`net::smtp::reply::Reply`]).
//!
//! A script error never reaches the client: each hook has its answer for it (reference: hooks 1.1), and the runner's
//! [`Notices`] hear the rest. The tables of what scripts find are `hostcalls::hooks`; the codes of replies are `codes`.
//!
//! ```
//! use std::rc::Rc;
//! use hooks::{Conversation, Runner, ScriptId, Verdict};
//! use net::smtp::address::Address;
//!
//! /// On a shard: what the script says to MAIL FROM.
//! async fn mail(runner: &Rc<Runner>, script: ScriptId, talk: &mut Conversation, sender: Option<&Address>) {
//!     match talk.mail(runner, script, sender, Vec::new()).await {
//!         Verdict::Accept(accepted) => println!("go on, sender {:?}", accepted.sender),
//!         Verdict::Refuse(refusal) => println!("answer {:?}", refusal.reply),
//!     }
//! }
//! ```

mod codes;
mod decision;
#[cfg(test)]
mod guide;
pub mod limits;
mod members;
pub mod queued;
mod runner;
mod scripts;
mod session;
mod tally;
#[cfg(test)]
mod tests;
mod variables;

pub use hostcalls::mail::{Given, GivenParameters, Metadata, QueueOptions, Queued, Reread, TransportNames};
pub use members::Reads;
pub use runner::{Kept, Notices, Runner};
pub use scripts::{Compiled, ScriptId, Scripts};
pub use session::{
    Auth, AuthAccepted, AuthVerdict, Connected, Connection, Conversation, EndError, Ended, Hello,
    HelloAccepted, MailAccepted, MessageAccepted, NameAnswers, Parameter, Proxied, RcptAccepted, Recipient,
    Recipients, Refusal, Submission, Tls, Transaction, Verdict,
};
pub use tally::{Tallies, Tally};
