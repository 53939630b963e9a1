//! What the hooks of one connection share, and the hooks themselves.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use hostcalls::mail::{MailPart, Outbox, Queued, Reread, Resting, TransportNames};
use mail::message::Message;
use net::smtp::address::Address;
use net::smtp::reply::Reply;
use script::value::Value;
use uuid::Uuid;

use crate::codes::{self, Codes, Refusals, Said};
use crate::decision::{Decision, Failure, Options};
use crate::runner::{About, Kept, Runner, Subject};
use crate::scripts::ScriptId;
use crate::{limits, variables};

/// A connection, for its hooks. Kept by the server beside its own state of the session; the server fills in what it learns,
/// the hooks read it and change what scripts may change.
#[derive(Debug)]
pub struct Conversation {
    /// `$connection`.
    pub connection: Connection,
    /// `$transaction`.
    pub transaction: Transaction,
    kept: Kept,
}

/// The facts of `$connection` (reference: hooks 2.1).
#[derive(Debug)]
pub struct Connection {
    /// Its own id.
    pub id: Uuid,
    /// Id of the server.
    pub server_id: Arc<str>,
    /// The client.
    pub remote: SocketAddr,
    /// What the client's address counts as, where a script has said another one.
    pub remote_ip: Option<IpAddr>,
    /// Confirmed or given name of the client.
    pub remote_ptr: Option<String>,
    /// The user at the other end of a socket in the file system.
    pub remote_uid: Option<u32>,
    /// Our side.
    pub local: SocketAddr,
    /// Address of the PROXY sender.
    pub proxy_ip: Option<IpAddr>,
    /// The extra fields of its header, as they came; empty where there are none.
    pub proxy_tlvs: Vec<u8>,
    /// What HELO or EHLO said, once accepted.
    pub hello: Option<Hello>,
    /// Once TLS is on.
    pub tls: Option<Tls>,
    /// Once authenticated.
    pub auth: Option<Auth>,
}

/// A greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// `HELO` or `EHLO`.
    pub verb: &'static str,
    /// The name in it.
    pub host: String,
}

/// The TLS of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Such as `TLSv1.3`.
    pub protocol: String,
    /// Name of the cipher suite.
    pub cipher: String,
    /// Strength of the cipher in bits.
    pub key_bits: u32,
    /// The name that the client asked for.
    pub sni: Option<String>,
    /// The client's certificate and the others that it sent, in DER; empty where it sent none.
    pub certificates: Vec<Vec<u8>>,
    /// What is wrong with its certificate, in the numbers of OpenSSL; 0: nothing.
    pub fault: u16,
}

/// Who authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// In upper case.
    pub mechanism: String,
    /// Name of the user, where there is one.
    pub username: Option<String>,
}

/// The facts of `$transaction` (reference: hooks 2.2).
#[derive(Debug, Default)]
pub struct Transaction {
    /// Its id; there is one from the connect on.
    pub id: Uuid,
    /// After MAIL: the sender, `None` for the null sender.
    pub sender: Option<Option<Address>>,
    /// The parameters of MAIL.
    pub parameters: Vec<Parameter>,
    /// Those accepted, in order.
    pub recipients: Vec<Recipient>,
}

/// A parameter of MAIL or RCPT: keyword in upper case, and its value; empty where it has none.
pub type Parameter = (String, String);

/// An accepted recipient.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Its address.
    pub address: Address,
    /// The parameters of RCPT.
    pub parameters: Vec<Parameter>,
    /// Its transport.
    pub transport: String,
}

/// What a hook says: go on with what is in it, or answer and do not.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Go on.
    Accept(T),
    /// Answer this instead.
    Refuse(Refusal),
}

/// An answer that ends a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What to say. Its enhanced code is left out where the client was not promised any.
    pub reply: Reply,
    /// Close the connection afterwards.
    pub disconnect: bool,
}

/// A connection is welcome.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Connected {
    /// Text of the banner, if the script has one.
    pub banner: Option<String>,
}

/// HELO or EHLO is accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HelloAccepted {
    /// Keyword lines to announce instead of the server's.
    pub extensions: Option<Vec<String>>,
    /// First line of the reply.
    pub greeting: Option<String>,
}

/// AUTH is decided.
#[derive(Debug, PartialEq, Eq)]
pub enum AuthVerdict {
    /// Authenticated.
    Accept(AuthAccepted),
    /// Not, or not now.
    Refuse(Refusal),
    /// These bytes go to the client; its answer comes back with the next round.
    Challenge {
        /// What to send, before base64.
        bytes: Vec<u8>,
        /// Close the connection afterwards.
        disconnect: bool,
    },
}

/// Somebody is authenticated.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthAccepted {
    /// The name that counts.
    pub username: Option<String>,
    /// What to answer.
    pub reply: Reply,
}

/// MAIL is accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct MailAccepted {
    /// Another sender, for all recipients.
    pub sender: Option<Option<Address>>,
    /// Another answer than the server's.
    pub reply: Option<Reply>,
}

/// RCPT is accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct RcptAccepted {
    /// Another recipient.
    pub recipient: Option<Address>,
    /// Another transport.
    pub transport: Option<String>,
    /// Another answer than the server's.
    pub reply: Option<Reply>,
}

/// The message is taken.
#[derive(Debug, PartialEq, Eq)]
pub struct MessageAccepted {
    /// Another answer than the server's.
    pub reply: Option<Reply>,
}

/// What becomes of a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Proxied {
    /// The server handles the line, or this one instead.
    Pass {
        /// The replacement.
        command: Option<String>,
        /// The next line comes here too, whatever it is.
        next: bool,
    },
    /// It is answered; the server does not see it.
    Reply {
        /// The answer.
        reply: Reply,
        /// Close the connection afterwards.
        disconnect: bool,
        /// The next line comes here too, whatever it is.
        next: bool,
    },
}

/// How a connection ended, for the last hook.
#[derive(Debug, Default)]
pub struct Ended {
    /// By us.
    pub local: bool,
    /// The last reply, and the state in which it was given.
    pub reply: Option<(Reply, String)>,
    /// What broke it.
    pub error: Option<EndError>,
}

/// What broke a connection.
#[derive(Debug)]
pub struct EndError {
    /// A sentence.
    pub reason: String,
    /// `socket` or `tls`.
    pub kind: &'static str,
    /// The number of the system's error, where there is one.
    pub code: Option<i32>,
}

impl Conversation {
    /// For a connection that has just come.
    pub fn new(connection: Connection, transaction: Uuid) -> Conversation {
        let transaction = Transaction { id: transaction, ..Transaction::default() };
        Conversation { connection, transaction, kept: Kept::default() }
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
        let arguments = || variables::connect_arguments(connection);
        let found = |name: &str| match name {
            "arguments" => Some(arguments()),
            "connection" => Some(variables::new_connection(connection)),
            "transaction" => Some(variables::transaction(&self.transaction)),
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
        match decision.await.unwrap_or_else(|| failed(&codes::CONNECT)) {
            Verdict::Accept((connected, remote_ip, remote_ptr)) => {
                self.connection.remote_ip = remote_ip.or(self.connection.remote_ip);
                self.connection.remote_ptr = remote_ptr.or(self.connection.remote_ptr.take());
                Verdict::Accept(connected)
            }
            Verdict::Refuse(refusal) => Verdict::Refuse(refusal),
        }
    }

    /// The hook `proxy`: a command line before the server reads it.
    pub async fn proxy(&mut self, runner: &Runner, script: ScriptId, line: &[u8]) -> Proxied {
        let found =
            finder(&self.connection, &self.transaction, || variables::map([("command", line.into())]));
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
        let before = self.connection.hello.take();
        let arguments = || variables::hello_arguments(&hello, extensions);
        let found = finder(&self.connection, &self.transaction, arguments);
        let subject = self.subject();
        let decision = runner.decide(script, subject, &mut self.kept, found, |decision| {
            verdict(&decision, &codes::HELO, |options| {
                let accepted = HelloAccepted {
                    extensions: options.strings("extensions", limits::MAX_EXTENSIONS)?,
                    greeting: options.reason()?,
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
                self.connection.hello = Some(hello);
                Verdict::Accept(accepted)
            }
            Verdict::Refuse(refusal) => {
                self.connection.hello = before;
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
        username: &str,
        password: &[u8],
    ) -> AuthVerdict {
        let arguments = || {
            variables::map([
                ("mechanism", mechanism.into()),
                ("username", username.into()),
                ("password", password.into()),
            ])
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
        let arguments = || {
            let response = response.map(|response| ("response", response.into()));
            variables::map(
                [("mechanism", mechanism.into()), ("state", state.into())].into_iter().chain(response),
            )
        };
        self.auth(runner, script, mechanism, None, arguments).await
    }

    async fn auth(
        &mut self,
        runner: &Runner,
        script: ScriptId,
        mechanism: &str,
        username: Option<&str>,
        arguments: impl Fn() -> Value,
    ) -> AuthVerdict {
        let found = finder(&self.connection, &self.transaction, arguments);
        let subject = self.subject();
        let read = |decision: Decision| auth_verdict(&decision, username);
        let decision = runner.decide(script, subject, &mut self.kept, found, read).await;
        let decision = decision.unwrap_or_else(|| AuthVerdict::Refuse(refusal(&codes::AUTH)));
        if let AuthVerdict::Accept(accepted) = &decision {
            let mechanism = mechanism.to_ascii_uppercase();
            self.connection.auth = Some(Auth { mechanism, username: accepted.username.clone() });
        }
        decision
    }

    /// The hook `mailfrom`. The sender that counts and the parameters are noted.
    pub async fn mail(
        &mut self,
        runner: &Runner,
        script: ScriptId,
        sender: Option<&Address>,
        parameters: &[Parameter],
    ) -> Verdict<MailAccepted> {
        let found =
            finder(&self.connection, &self.transaction, || variables::mail_arguments(sender, parameters));
        let subject = self.subject();
        let decision = runner.decide(script, subject, &mut self.kept, found, |decision| {
            verdict(&decision, &codes::MAIL, |options| {
                let reply = accepting_reply(options, codes::MAIL_ACCEPTED)?;
                Ok(MailAccepted { sender: options.address("sender")?, reply })
            })
        });
        let decision = decision.await.unwrap_or_else(|| failed(&codes::MAIL));
        if let Verdict::Accept(accepted) = &decision {
            self.transaction.sender = Some(accepted.sender.clone().unwrap_or_else(|| sender.cloned()));
            self.transaction.parameters = parameters.to_vec();
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
        transport: &str,
        transports: &TransportNames,
    ) -> Verdict<RcptAccepted> {
        let found = finder(&self.connection, &self.transaction, || {
            variables::rcpt_arguments(recipient, parameters, transport)
        });
        let subject = self.subject();
        let decision = runner.decide(script, subject, &mut self.kept, found, |decision| {
            verdict(&decision, &codes::RCPT, |options| {
                let recipient = match options.address("recipient")? {
                    Some(None) => return Err(Failure("option \"recipient\": it is empty".to_owned())),
                    Some(address) => address,
                    None => None,
                };
                let reply = accepting_reply(options, codes::RCPT_ACCEPTED)?;
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

    /// The hook `eod`: the message is `mail`, as it came, and `reread` reads it again when the script has waited. What the script has queued stands beside the verdict: it is to be
    /// carried out where the script has decided, whatever it has decided, and with the reply.
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
        let outbox = Rc::new(Outbox::new(self.transaction.id.to_string(), transports));
        let mail = Rc::new(RefCell::new(mail));
        let about = About { item: None, rest: Some(Resting::new(Rc::clone(&mail), reread)) };
        let mail: Value = MailPart::received(mail, &outbox).into();
        let (connection, transaction) = (&self.connection, &self.transaction);
        let found = |name: &str| match name {
            "arguments" => Some(variables::map([("mail", mail.clone())])),
            "connection" => Some(variables::connection(connection)),
            "transaction" => Some(variables::complete_transaction(transaction, received_s)),
            _ => None,
        };
        let read = |decision: Decision| {
            let explicit = decision.is_explicit();
            let verdict = verdict(&decision, &codes::EOD, |options| {
                Ok(MessageAccepted { reply: accepting_reply(options, codes::EOD_ACCEPTED)? })
            })?;
            Ok((verdict, explicit))
        };
        match runner.decide_about(about, script, subject, &mut self.kept, found, read).await {
            // Also what was queued before a Reject or Defer stays: it is how a script refuses and quarantines.
            Some((verdict, true)) => (verdict, outbox.take()),
            Some((verdict, false)) => (verdict, Vec::new()),
            None => (failed(&codes::EOD), Vec::new()),
        }
    }

    /// The hook `disconnect`: the last reader.
    pub async fn disconnect(&mut self, runner: &Runner, script: ScriptId, ended: &Ended) {
        let connection = &self.connection;
        let found = |name: &str| match name {
            "arguments" => Some(variables::disconnect_arguments(ended)),
            "connection" => Some(variables::connection(connection)),
            "transaction" => Some(variables::map([])),
            _ => None,
        };
        let subject = self.subject();
        runner.decide(script, subject, &mut self.kept, found, |_| Ok(())).await;
    }
}

/// Values by name, for the hooks after connect.
fn finder(
    connection: &Connection,
    transaction: &Transaction,
    arguments: impl Fn() -> Value,
) -> impl Fn(&str) -> Option<Value> {
    move |name| match name {
        "arguments" => Some(arguments()),
        "connection" => Some(variables::connection(connection)),
        "transaction" => Some(variables::transaction(transaction)),
        _ => None,
    }
}

/// What a decision to accept, reject or defer means.
fn verdict<T>(
    decision: &Decision,
    refusals: &Refusals,
    accept: impl FnOnce(&Options) -> Result<T, Failure>,
) -> Result<Verdict<T>, Failure> {
    if decision.name == "Accept" {
        return accept(&decision.options(0)?).map(Verdict::Accept);
    }
    refused(decision, refusals).map(Verdict::Refuse)
}

/// `Reject` or `Defer`, with the reason and options of the script.
fn refused(decision: &Decision, refusals: &Refusals) -> Result<Refusal, Failure> {
    let (default, class) = match decision.name {
        "Reject" => (refusals.reject, 5),
        _ => (refusals.defer, 4),
    };
    let options = decision.options(1)?;
    let codes = options.codes(default.codes, &[class])?;
    let text = decision.reason()?;
    Ok(Refusal {
        reply: codes.reply(text.as_deref().unwrap_or(default.text)),
        disconnect: refusals.closes || options.boolean("disconnect")?,
    })
}

/// What the client hears of a script that failed, or that ends where that means a delay.
fn refusal(refusals: &Refusals) -> Refusal {
    let Said { codes, text } = refusals.defer;
    Refusal { reply: codes.reply(text), disconnect: refusals.closes }
}

fn failed<T>(refusals: &Refusals) -> Verdict<T> {
    Verdict::Refuse(refusal(refusals))
}

/// The reply of an accepting decision, where it says anything about that.
fn accepting_reply(options: &Options, default: Said) -> Result<Option<Reply>, Failure> {
    let text = options.reason()?;
    if text.is_none() && !options.has("reply_codes") {
        return Ok(None);
    }
    let codes = options.codes(default.codes, &[2])?;
    Ok(Some(codes.reply(text.as_deref().unwrap_or(default.text))))
}

fn proxied(decision: &Decision) -> Result<Proxied, Failure> {
    if decision.name == "Pass" {
        let options = decision.options(0)?;
        return Ok(Proxied::Pass { command: options.string("command")?, next: options.boolean("next")? });
    }
    let options = decision.options(1)?;
    let default = codes::PROXY_REPLY;
    let codes = options.codes(default.codes, &[2, 3, 4, 5])?;
    let text = decision.reason()?;
    Ok(Proxied::Reply {
        reply: codes.reply(text.as_deref().unwrap_or(default.text)),
        disconnect: options.boolean("disconnect")?,
        next: options.boolean("next")?,
    })
}

fn auth_verdict(decision: &Decision, username: Option<&str>) -> Result<AuthVerdict, Failure> {
    match decision.name {
        "Accept" => {
            let options = decision.options(0)?;
            let reply = accepting_reply(&options, codes::AUTH_ACCEPTED)?;
            let default = codes::AUTH_ACCEPTED;
            Ok(AuthVerdict::Accept(AuthAccepted {
                username: options.string("username")?.or_else(|| username.map(str::to_owned)),
                reply: reply.unwrap_or_else(|| default.codes.reply(default.text)),
            }))
        }
        "Reply" => {
            let options = decision.options(1)?;
            // SMTP knows no other code here (RFC 4954 section 4).
            options.codes(Codes { code: 334, enhanced: None }, &[3])?;
            Ok(AuthVerdict::Challenge {
                bytes: decision.bytes()?,
                disconnect: options.boolean("disconnect")?,
            })
        }
        _ => refused(decision, &codes::AUTH).map(AuthVerdict::Refuse),
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, Failure> {
    text.parse().map_err(|_| Failure(format!("option \"remoteip\": \"{text}\" is not an address")))
}
