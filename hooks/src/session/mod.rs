//! What the hooks of one connection share, and the hooks themselves.

mod facts;
#[cfg(test)]
mod tests;
mod verdict;

use std::cell::OnceCell;
use std::rc::Rc;

use hostcalls::mail::{MailPart, Outbox, Queued, Reread, Resting, TransportNames};
use mail::message::Message;
use net::smtp::address::Address;
use script::value::Value;
use uuid::Uuid;

use crate::codes;
use crate::decision::{Decision, Failure};
use crate::members::{Members, Reads};
use crate::runner::{About, Kept, Runner, Subject};
use crate::scripts::ScriptId;
use crate::{limits, variables};

use verdict::{accepting_reply, auth_verdict, failed, parse_ip, proxied, refusal, verdict};

pub use facts::{
    Auth, Connection, EndError, Ended, Hello, NameAnswers, Parameter, Recipient, Recipients, Submission, Tls,
    Transaction,
};
pub use verdict::{
    AuthAccepted, AuthVerdict, Connected, HelloAccepted, MailAccepted, MessageAccepted, Proxied,
    RcptAccepted, Refusal, Verdict,
};

/// Whether what a script has queued stays where it then calls `Reject` or `Defer`: it is how one refuses a message and keeps a
/// copy for somebody to look at (reference: hooks 3.8.1, which leaves it open).
const REFUSED_KEEPS_QUEUED: bool = true;

/// A connection, for its hooks. Kept by the server beside its own state of the session; the server fills in what it learns,
/// the hooks read it and change what scripts may change.
#[derive(Debug)]
pub struct Conversation {
    /// `$connection`.
    connection: Connection,
    /// `$transaction`.
    pub transaction: Transaction,
    kept: Kept,
    /// `$connection` as a whole, once a script has asked for that, until something of it changes.
    shown: OnceCell<Value>,
}

impl Conversation {
    /// For a connection that has just come.
    pub fn new(connection: Connection, transaction: Uuid) -> Conversation {
        let transaction = Transaction { id: transaction, ..Transaction::default() };
        Conversation { connection, transaction, kept: Kept::default(), shown: OnceCell::new() }
    }

    /// What is known of the connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The same, to add to it.
    pub fn connection_mut(&mut self) -> &mut Connection {
        self.shown.take();
        &mut self.connection
    }

    /// Forgets the transaction, as RSET, HELO and the end of a message do; the next one has this id.
    pub fn reset(&mut self, id: Uuid) {
        self.transaction = Transaction { id, ..Transaction::default() };
    }

    fn subject(&self) -> Subject {
        Subject::Transaction(self.transaction.id)
    }

    /// The hook `connect`: before the banner. What it says about the client's address and name is noted.
    pub async fn connect(&mut self, runner: &Runner, script: ScriptId) -> Verdict<Connected> {
        let connection = &self.connection;
        let found = |name: &str, reads: &Reads| match name {
            "arguments" => Some(variables::connect_arguments(connection, reads)),
            "connection" => Some(variables::new_connection(connection, reads)),
            "transaction" => Some(variables::transaction(&self.transaction, None, reads)),
            _ => None,
        };
        let subject = self.subject();
        let decision = runner.decide(script, subject, &mut self.kept, found, |decision| {
            verdict(&decision, &codes::CONNECT, |options| {
                let remote_ip = options.string("remoteip")?.map(|text| parse_ip(&text)).transpose()?;
                let banner = options.reason()?;
                Ok((Connected { banner }, remote_ip, options.string("remoteptr")?))
            })
        });
        let decision = decision.await;
        // Nobody else is shown them.
        self.connection.name_answers = None;
        match decision.unwrap_or_else(|| failed(&codes::CONNECT)) {
            Verdict::Accept((connected, remote_ip, remote_ptr)) => {
                let connection = self.connection_mut();
                if let Some(ip) = remote_ip {
                    connection.remote.set_ip(ip.to_canonical());
                    // It was the name of another one.
                    connection.remote_ptr = None;
                }
                connection.remote_ptr = remote_ptr.or(connection.remote_ptr.take());
                Verdict::Accept(connected)
            }
            Verdict::Refuse(refusal) => Verdict::Refuse(refusal),
        }
    }

    /// The hook `proxy`: a command line before the server reads it.
    pub async fn proxy(&mut self, runner: &Runner, script: ScriptId, line: &[u8]) -> Proxied {
        let seen = seen(&self.connection, &self.shown, &self.transaction);
        let found = finder(&seen, |reads| variables::proxy_arguments(line, reads));
        let subject = self.subject();
        let read = |decision: Decision| proxied(&decision);
        let decision = runner.decide(script, subject, &mut self.kept, found, read).await;
        let failed = codes::PROXY_FAILED;
        decision.unwrap_or_else(|| Proxied::Reply {
            reply: failed.codes.reply(failed.text),
            disconnect: false,
            next: false,
        })
    }

    /// The hook `helo`. The host that counts is noted.
    pub async fn hello(
        &mut self,
        runner: &Runner,
        script: ScriptId,
        mut hello: Hello,
        extensions: &[String],
    ) -> Verdict<HelloAccepted> {
        let before = self.connection_mut().hello.take();
        let seen = seen(&self.connection, &self.shown, &self.transaction);
        let found = finder(&seen, |reads| variables::hello_arguments(&hello, extensions, reads));
        let subject = self.subject();
        let decision = runner.decide(script, subject, &mut self.kept, found, |decision| {
            verdict(&decision, &codes::HELO, |options| {
                let accepted = HelloAccepted {
                    extensions: options.strings("extensions", limits::MAX_EXTENSIONS)?,
                    // What follows the first line are keywords (RFC 5321 section 4.1.1.1).
                    greeting: options.reason()?.map(|text| text.replace("\r\n", "\n").replace('\n', " ")),
                };
                Ok((accepted, options.string("host")?))
            })
        });
        match decision.await.unwrap_or_else(|| failed(&codes::HELO)) {
            Verdict::Accept((mut accepted, host)) => {
                if let Some(host) = host {
                    hello.host = host;
                }
                if hello.verb == "HELO" {
                    accepted.extensions = None;
                }
                self.connection_mut().hello = Some(hello);
                Verdict::Accept(accepted)
            }
            Verdict::Refuse(refusal) => {
                self.connection_mut().hello = before;
                Verdict::Refuse(refusal)
            }
        }
    }

    /// The hook `auth` for PLAIN and LOGIN, whose exchange the server has made.
    pub async fn auth_password(
        &mut self,
        runner: &Runner,
        script: ScriptId,
        mechanism: &str,
        username: &[u8],
        password: &[u8],
    ) -> AuthVerdict {
        let arguments = |reads: &Reads| {
            let mut members = Members::of(reads);
            members.put("mechanism", |_| mechanism);
            members.put("username", |_| username);
            members.put("password", |_| password);
            members.into_value()
        };
        self.auth(runner, script, mechanism, Some(username), arguments).await
    }

    /// One round of the hook `auth` for any other mechanism: how many rounds were before, and what the client says.
    pub async fn auth_round(
        &mut self,
        runner: &Runner,
        script: ScriptId,
        mechanism: &str,
        state: u32,
        response: Option<&[u8]>,
    ) -> AuthVerdict {
        let arguments = |reads: &Reads| {
            let mut members = Members::of(reads);
            members.put("mechanism", |_| mechanism);
            members.put("state", |_| state);
            members.put_some("response", response, |response, _| response);
            members.into_value()
        };
        self.auth(runner, script, mechanism, None, arguments).await
    }

    async fn auth(
        &mut self,
        runner: &Runner,
        script: ScriptId,
        mechanism: &str,
        username: Option<&[u8]>,
        arguments: impl Fn(&Reads) -> Value,
    ) -> AuthVerdict {
        let seen = seen(&self.connection, &self.shown, &self.transaction);
        let found = finder(&seen, arguments);
        let subject = self.subject();
        let read = |decision: Decision| auth_verdict(&decision, username);
        let decision = runner.decide(script, subject, &mut self.kept, found, read).await;
        let decision = decision.unwrap_or_else(|| AuthVerdict::Refuse(refusal(&codes::AUTH)));
        if let AuthVerdict::Accept(accepted) = &decision {
            let mechanism = mechanism.to_ascii_uppercase();
            self.connection_mut().auth = Some(Auth { mechanism, username: accepted.username.clone() });
        }
        decision
    }

    /// The hook `mailfrom`. The sender that counts and the parameters are noted.
    pub async fn mail(
        &mut self,
        runner: &Runner,
        script: ScriptId,
        sender: Option<&Address>,
        parameters: Vec<Parameter>,
    ) -> Verdict<MailAccepted> {
        let seen = seen(&self.connection, &self.shown, &self.transaction);
        let found = finder(&seen, |reads| variables::mail_arguments(sender, &parameters, reads));
        let subject = self.subject();
        let decision = runner.decide(script, subject, &mut self.kept, found, |decision| {
            verdict(&decision, &codes::MAIL, |options| {
                let reply = accepting_reply(options, codes::MAIL_ACCEPTED.codes, codes::MAIL_ACCEPTED.text)?;
                Ok(MailAccepted { sender: options.address("sender")?, reply })
            })
        });
        let decision = decision.await.unwrap_or_else(|| failed(&codes::MAIL));
        if let Verdict::Accept(accepted) = &decision {
            self.transaction.sender = Some(accepted.sender.clone().unwrap_or_else(|| sender.cloned()));
            self.transaction.parameters = parameters;
        }
        decision
    }

    /// The hook `rcptto`. The server notes the recipient in the transaction, once it is accepted for good.
    pub async fn rcpt(
        &mut self,
        runner: &Runner,
        script: ScriptId,
        recipient: &Address,
        parameters: &[Parameter],
        transport: Option<&str>,
        transports: &TransportNames,
    ) -> Verdict<RcptAccepted> {
        let seen = seen(&self.connection, &self.shown, &self.transaction);
        let found =
            finder(&seen, |reads| variables::envelope_recipient(recipient, parameters, transport, reads));
        let subject = self.subject();
        let decision = runner.decide(script, subject, &mut self.kept, found, |decision| {
            verdict(&decision, &codes::RCPT, |options| {
                let recipient = match options.address("recipient")? {
                    Some(None) => return Err(Failure("option \"recipient\": it is empty".to_owned())),
                    Some(address) => address,
                    None => None,
                };
                let reply = accepting_reply(options, codes::RCPT_ACCEPTED.codes, codes::RCPT_ACCEPTED.text)?;
                let transport = options.string("transportid")?;
                if let Some(unknown) = transport.as_ref().filter(|name| !transports.contains(*name)) {
                    return Err(Failure(format!(
                        "option \"transportid\": there is no transport \"{unknown}\""
                    )));
                }
                Ok(RcptAccepted { recipient, transport, reply })
            })
        });
        decision.await.unwrap_or_else(|| failed(&codes::RCPT))
    }

    /// The hook `eod`: the message is `mail`, as it came, and `reread` reads it again when the script has waited. What the
    /// script has queued stands beside the verdict: it is to be carried out where the script has decided, whatever it has
    /// decided, and with the reply.
    pub async fn end_of_data(
        &mut self,
        runner: &Runner,
        script: ScriptId,
        mail: Message,
        received_s: f64,
        transports: TransportNames,
        reread: Reread,
    ) -> (Verdict<MessageAccepted>, Vec<Queued>) {
        let subject = self.subject();
        let recipients = self.transaction.recipients.address_objects();
        let outbox = Rc::new(Outbox::new(self.transaction.id, transports, recipients));
        let resting = Resting::new(mail, reread);
        let mail: Value = MailPart::received(&resting, &outbox).into();
        let about = About { item: None, rest: Some(resting) };
        let seen =
            Seen { received_s: Some(received_s), ..seen(&self.connection, &self.shown, &self.transaction) };
        let found = finder(&seen, |reads| {
            let mut arguments = Members::of(reads);
            arguments.put("mail", |_| mail.clone());
            if let Some(submission) = &self.transaction.submission {
                variables::put_submission(&mut arguments, submission, &self.connection);
            }
            arguments.into_value()
        });
        let read = |decision: Decision| {
            let explicit = decision.is_explicit();
            let verdict = verdict(&decision, &codes::EOD, |options| {
                let text = format!("Ok: queued as {}", self.transaction.id);
                Ok(MessageAccepted { reply: accepting_reply(options, codes::EOD_ACCEPTED, &text)? })
            })?;
            Ok((verdict, explicit))
        };
        match runner.decide_about(about, script, subject, &mut self.kept, found, read).await {
            Some((verdict, true)) if REFUSED_KEEPS_QUEUED || matches!(verdict, Verdict::Accept(_)) => {
                (verdict, outbox.take())
            }
            Some((verdict, _)) => (verdict, Vec::new()),
            None => (failed(&codes::EOD), Vec::new()),
        }
    }

    /// The hook `disconnect`: the last reader.
    pub async fn disconnect(&mut self, runner: &Runner, script: ScriptId, ended: &Ended) {
        let seen = seen(&self.connection, &self.shown, &self.transaction);
        let found = |name: &str, reads: &Reads| match name {
            "arguments" => Some(variables::disconnect_arguments(ended, reads)),
            "connection" => Some(seen.connection(reads)),
            "transaction" => Some(variables::map([])),
            _ => None,
        };
        let subject = self.subject();
        runner.decide(script, subject, &mut self.kept, found, |_| Ok(())).await;
    }
}

/// What the variables of a hook are made of.
struct Seen<'c> {
    connection: &'c Connection,
    shown: &'c OnceCell<Value>,
    transaction: &'c Transaction,
    /// At the end of a message: when it came.
    received_s: Option<f64>,
}

impl Seen<'_> {
    fn connection(&self, reads: &Reads) -> Value {
        match reads {
            Reads::All => self.shown.get_or_init(|| variables::connection(self.connection, reads)).clone(),
            Reads::Members(_) => variables::connection(self.connection, reads),
        }
    }
}

fn seen<'c>(
    connection: &'c Connection,
    shown: &'c OnceCell<Value>,
    transaction: &'c Transaction,
) -> Seen<'c> {
    Seen { connection, shown, transaction, received_s: None }
}

/// Values by name, for the hooks after connect.
fn finder(seen: &Seen<'_>, arguments: impl Fn(&Reads) -> Value) -> impl Fn(&str, &Reads) -> Option<Value> {
    move |name, reads| match name {
        "arguments" => Some(arguments(reads)),
        "connection" => Some(seen.connection(reads)),
        "transaction" => Some(variables::transaction(seen.transaction, seen.received_s, reads)),
        _ => None,
    }
}
