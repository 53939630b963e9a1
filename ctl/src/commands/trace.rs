//! `halonctl trace` (ours).

use control::smtpd::trace_event::Kind;
use control::smtpd::{NetworkMatch, StringMatch, TraceEvent, TraceRequest, TraceResponse};
use control::{Command as Letter, Message};
use jiff::Timestamp;

use super::{JSON, Run, leaf};
use crate::cli::{Arguments, Command, Group, Value, flag, option};
use crate::client::decode;
use crate::matching::seconds;
use crate::output::Session;
use crate::text::visible;
use crate::{Failure, json};

pub(super) const TRACE: Command<Run> = Command {
    about: "Shows both directions of every connection that begins from now on and matches, until interrupted. > is what \
            the server has sent, < what it has received. Passwords are masked. When this program does not keep up, events are left \
            out, and their number is said.",
    options: &[&FILTER, &JSON],
    examples: &[(
        "halonctl trace --outgoing --recipientdomain example.com --connections 1",
        "The next delivery to a domain",
    )],
    ..leaf("trace", "Follow SMTP dialogues", run)
};

static FILTER: Group = Group {
    title: "Filter",
    note: "",
    options: &[
        option("remoteip", Value::Text("NETWORK"), "Address of the other side, or a network").repeated(),
        option(
            "recipientdomain",
            Value::Text("DOMAIN"),
            "Domain of a recipient: the dialogue is shown from there on",
        )
        .repeated(),
        option("serverid", Value::Text("ID"), "Server that took the connection").repeated(),
        flag("incoming", "Only connections of clients"),
        flag("outgoing", "Only connections to next hops"),
        option("connections", Value::Text("NUMBER"), "End after so many"),
        option("time", Value::Text("SECONDS"), "End after that time"),
    ],
};

fn run(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let text = |value: &String| StringMatch { value: value.clone(), ..StringMatch::default() };
    let request = TraceRequest {
        remoteips: arguments
            .all("remoteip")
            .iter()
            .map(|value| NetworkMatch { value: value.clone(), neq: false })
            .collect(),
        recipientdomains: arguments.all("recipientdomain").iter().map(text).collect(),
        serverids: arguments.all("serverid").iter().map(text).collect(),
        incoming: arguments.has("incoming"),
        outgoing: arguments.has("outgoing"),
        connections: arguments.number("connections")?.unwrap_or(0),
        time: seconds(arguments, "time")?.unwrap_or(0.0),
    };
    let body = request.encode_to_vec();
    session.show_request(Letter::Trace, &body)?;
    let answer = session.follow(Letter::Trace, &body, |json, payload| {
        if json { json::line("TraceEvent", payload) } else { Ok(line(&decode(payload)?)) }
    })?;
    let answer: TraceResponse = decode(&answer)?;
    if answer.lost > 0 {
        session.complain(&format!("{} events were left out: this program did not keep up", answer.lost));
    }
    Ok(())
}

fn line(event: &TraceEvent) -> String {
    // A float to integer cast saturates.
    let time = Timestamp::from_millisecond((event.ts * 1000.0) as i64).unwrap_or_default();
    let sign = match event.kind() {
        Kind::Open => "+",
        Kind::Received => "<",
        Kind::Sent => ">",
        Kind::Close => "-",
        Kind::Note | Kind::Unspecified => "*",
    };
    let text = String::from_utf8_lossy(&event.text);
    let detail = match event.kind() {
        Kind::Open => {
            let (from, to) = if event.outgoing {
                (&event.localip, &event.remoteip)
            } else {
                (&event.remoteip, &event.localip)
            };
            format!("{from} to {to} {} {text}", event.name)
        }
        _ => text.into_owned(),
    };
    let time = time.strftime("%H:%M:%S%.3f");
    let line = format!("{time} {} {sign} {}", visible(&event.connection), visible(detail.trim_end()));
    line.trim_end().to_owned() + "\n"
}
