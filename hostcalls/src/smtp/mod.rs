//! SMTP from scripts: `smtp_lookup_rcpt`, `smtp_lookup_auth`, and the method `send` of messages (reference: hsl-stdlib 21,
//! hooks 9). Each call has a connection of its own.

mod dane;
mod dialogue;
mod results;
mod server;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use bytes::Bytes;
use config::TlsMode;
use mail::delta::MailNeeds;
use net::smtp::address::Address;
use net::smtp::client::{Aim, Cause, Envelope, Outcome, Phase, Recipient};
use net::smtp::error::{Error, Network};
use net::smtp::parameters::{MailParameters, RcptParameters};
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Native, NativeRun};
use script::value::Value;

use crate::arguments::Arguments;
use crate::library::{Family, HostFunction, HostFuture};
use crate::mail::{GivenParameters, MailPart, MimeObject};
use crate::{Execution, address, limits, numbers};
pub(crate) use dialogue::is_clean;
use dialogue::{Content, Dialogue, Facts, Failure};
pub(crate) use server::source_by_id;
pub use server::{Server, ServerDane, ServerTls, Source};

const LOOKUP_RCPT: u16 = numbers::SMTP;
const LOOKUP_AUTH: u16 = numbers::SMTP + 1;
/// `send` of `MIME` and `MailMessage`: sender, recipients, server.
pub(crate) const SEND: u16 = numbers::SMTP + 2;

pub(crate) static FAMILY: Family = Family {
    natives: &[
        Native {
            name: "smtp_lookup_rcpt",
            params: "any server, any sender, any recipient [, array options]",
            doc: "Asks an SMTP server whether it takes mail for a recipient, and sends none: 1 accepted, 0 refused for good, \
                  -1 not known. The server is the id of a transport or an array (host, port, helo, tls and so on); without \
                  a host the mail exchangers of the recipient's domain are asked. Option: extended_result (an array with \
                  error_code, error_message, on_rcptto and tls).",
            min_args: 3,
            max_args: Some(4),
            run: NativeRun::Host(LOOKUP_RCPT),
        },
        Native {
            name: "smtp_lookup_auth",
            params: "any server, string username, string password",
            doc: "Asks an SMTP server whether it lets somebody log in: 1 yes, 0 no, -1 not known.",
            min_args: 3,
            max_args: Some(3),
            run: NativeRun::Host(LOOKUP_AUTH),
        },
    ],
    host: &[
        HostFunction { number: LOOKUP_RCPT, run: lookup_rcpt },
        HostFunction { number: LOOKUP_AUTH, run: lookup_auth },
        HostFunction { number: SEND, run: send },
    ],
    ..Family::EMPTY
};

fn lookup_rcpt(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let environment = execution.environment();
        let server = Server::of(environment, &call, 0).await?;
        let sender = sender(&call, 1)?;
        let recipient = recipient(&call, call.arg(2))?;
        let options = call.options(3)?;
        let extended = options.boolean("extended_result", false)?;
        let certificate = match call.arg(0) {
            Value::Array(array) => script::native::Options::new(call.name, Some(array.clone()))
                .boolean("tls_capture_peer_cert", false)?,
            _ => false,
        };
        let mut facts = Facts::default();
        let domain = recipient.address.domain().to_vec();
        let ended = match Dialogue::begin(environment, &server, &domain, &mut facts).await {
            Ok(mut dialogue) => {
                let envelope = envelope(sender, vec![recipient], &Bytes::new());
                let none = Content::Bytes(Bytes::new());
                let outcomes = dialogue.transact(envelope, Aim::Probe, none).await;
                facts.clone_from(&dialogue.facts);
                dialogue.quit().await;
                first(outcomes)
            }
            Err(failure) => Err(failure),
        };
        Ok(match extended {
            true => results::lookup(&ended, &facts, certificate),
            false => results::verdict(&ended).into(),
        })
    })
}

fn lookup_auth(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let environment = execution.environment();
        let mut server = Server::of(environment, &call, 0).await?;
        if server.next_hop == config::NextHop::Mx {
            return Err(call.error("the server needs a host"));
        }
        let mode = if server.tls.is_some() { TlsMode::Require } else { TlsMode::Disabled };
        let (username, password) = (call.str(1)?, call.str(2)?);
        let mut session = (*server.session).clone();
        session.login = Some(server::login(&username.to_string_lossy(), &password.to_string_lossy(), mode));
        server.session = session.into();
        match Dialogue::begin(environment, &server, b"", &mut Facts::default()).await {
            Ok(dialogue) => {
                dialogue.quit().await;
                Ok(1.into())
            }
            Err(failure) => Ok(results::login_verdict(&failure).into()),
        }
    })
}

/// All recipients get the message, or none does.
fn send(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let environment = execution.environment();
        let content = content(&execution, &call).await?;
        let sender = sender(&call, 0)?;
        let recipients = recipients(&call)?;
        let server = Server::of(environment, &call, 2).await?;
        let lacking = match recipients.len() {
            0 => Some("there is no recipient"),
            _ if server.next_hop == config::NextHop::Mx => {
                Some("the server needs a host: send() asks no mail exchangers")
            }
            _ => None,
        };
        if let Some(what) = lacking {
            let ended = Err(Failure::Unreachable { temporary: false, message: what.to_owned() });
            return Ok(results::sent(&ended, &Facts::default()));
        }
        let envelope = {
            let message = content.bytes().await?;
            if !is_clean(&message) {
                return Err(call.error(crate::mail::UNCLEAN));
            }
            // What it takes until the peer wants the message may be long: it is not kept meanwhile.
            envelope(sender, recipients, &message)
        };
        let mut facts = Facts::default();
        let ended = match Dialogue::begin(environment, &server, b"", &mut facts).await {
            Ok(mut dialogue) => {
                let outcomes = dialogue.transact(envelope, Aim::AllOrNone, content).await;
                facts.clone_from(&dialogue.facts);
                dialogue.quit().await;
                worst(outcomes)
            }
            Err(failure) => Err(failure),
        };
        Ok(results::sent(&ended, &facts))
    })
}

/// The message that the method is called on, as it is now.
async fn content(execution: &Rc<Execution>, call: &HostCall) -> Result<Content, Fault> {
    let object = call.this_object()?;
    if let Some(mime) = object.downcast::<MimeObject>() {
        return Ok(Content::Bytes(mime.source("send").await?));
    }
    let part = object.downcast::<MailPart>().ok_or_else(|| call.error("is a method of messages"))?;
    Ok(Content::Message(part.take(crate::mail::now_in(execution.environment()))))
}

/// The sender that an argument is, and what is said of it.
fn sender(call: &HostCall, index: usize) -> Result<(Option<Address>, MailParameters), Fault> {
    let value = call.arg(index);
    let address = address::of_value(value).map_err(|why| call.error(why))?;
    let given = GivenParameters::of_address(value).map_err(|why| call.error(why))?;
    Ok((address, given.mail(MailParameters::default())))
}

/// The recipient that a value is, and what is said of it.
fn recipient(call: &HostCall, value: &Value) -> Result<Recipient, Fault> {
    let address = address::of_value(value).map_err(|why| call.error(why))?;
    let address = address.ok_or_else(|| call.error("the recipient is empty"))?;
    let given = GivenParameters::of_address(value).map_err(|why| call.error(why))?;
    Ok(Recipient { address, parameters: given.rcpt(RcptParameters::default()) })
}

fn recipients(call: &HostCall) -> Result<Vec<Recipient>, Fault> {
    let list: Vec<Recipient> = match call.arg(1) {
        // One address object is no list of them.
        value @ Value::Array(array) if array.get_str("localpart").is_some() => vec![recipient(call, value)?],
        Value::Array(array) => {
            array.values().map(|value| recipient(call, &value)).collect::<Result<_, _>>()?
        }
        value => vec![recipient(call, value)?],
    };
    match list.len() {
        ..=limits::SMTP_RECIPIENTS_MAX => Ok(list),
        _ => Err(call.error(format_args!("there are more than {} recipients", limits::SMTP_RECIPIENTS_MAX))),
    }
}

fn envelope(
    (sender, mut parameters): (Option<Address>, MailParameters),
    recipients: Vec<Recipient>,
    message: &Bytes,
) -> Envelope {
    let needs = MailNeeds::of(message);
    parameters.smtp_utf8 |= needs.utf8_header;
    let (size_bytes, eight_bit) = (message.len() as u64, needs.eight_bit);
    Envelope { sender, recipients, size_bytes, eight_bit, parameters }
}

fn first(outcomes: Vec<Outcome>) -> Result<Outcome, Failure> {
    let none = || Failure::Peer(Phase::Mail, Cause::Error(Error::Network(Network::ConnectionLost)));
    outcomes.into_iter().next().ok_or_else(none)
}

/// One outcome for all: that of somebody who did not get the message, if there is one.
fn worst(outcomes: Vec<Outcome>) -> Result<Outcome, Failure> {
    let bad = outcomes.iter().position(|outcome| !outcome.is_delivered()).unwrap_or(0);
    first(outcomes.into_iter().skip(bad).collect())
}
