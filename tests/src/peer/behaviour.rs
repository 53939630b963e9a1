//! What a peer offers, and how it answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A moment in a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A connection has come; nothing was said, no TLS spoken.
    Connect,
    /// Before the greeting.
    Banner,
    /// At EHLO, HELO or LHLO.
    Hello,
    /// At STARTTLS.
    StartTls,
    /// At AUTH.
    Auth,
    /// At MAIL.
    Mail,
    /// At RCPT.
    Rcpt,
    /// At DATA.
    Data,
    /// After the 354, before anything of the message is read.
    Body,
    /// At a BDAT command, its chunk being read.
    Bdat,
    /// At the final dot or the last chunk; with LMTP once for each recipient.
    Dot,
    /// At RSET.
    Rset,
    /// At NOOP.
    Noop,
    /// At QUIT.
    Quit,
    /// At XCLIENT.
    Xclient,
}

/// What to do instead of what is usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer this, whole lines without the last CRLF. A code of 2xx or 3xx lets the usual happen, only in these words;
    /// a 421 ends the connection.
    Reply(String),
    /// Answer this and close.
    ReplyThenClose(String),
    /// Wait so long, then do the usual.
    Delay(Duration),
    /// Wait until the peer is told to behave otherwise, then do the usual.
    Hold,
    /// Say nothing any more; the connection stays open until the test ends.
    Stall,
    /// Close without a word.
    Close,
    /// Reset the connection (RST).
    Reset,
    /// Do the usual: an exception from a rule further down.
    Usual,
}

/// An exception: when, how often, and what. The first rule of a behaviour that fits decides.
#[derive(Clone, Debug)]
pub struct Rule {
    phase: Phase,
    containing: Option<String>,
    on_each_connection: bool,
    first: usize,
    last: usize,
    action: Action,
}

impl Rule {
    /// Every time in this phase. An action must follow.
    pub fn at(phase: Phase) -> Rule {
        Rule {
            phase,
            containing: None,
            on_each_connection: false,
            first: 1,
            last: usize::MAX,
            action: Action::Usual,
        }
    }

    /// Only for commands with this text in them, in any case (at [`Phase::Dot`]: the recipients, at
    /// [`Phase::Connect`] and [`Phase::Banner`]: the address of the client). Others are not counted.
    pub fn containing(mut self, text: &str) -> Rule {
        self.containing = Some(text.to_ascii_lowercase());
        self
    }

    /// Counts on each connection for itself.
    pub fn on_each_connection(mut self) -> Rule {
        self.on_each_connection = true;
        self
    }

    /// Only the `number`-th time, counted from 1.
    pub fn nth(mut self, number: usize) -> Rule {
        (self.first, self.last) = (number, number);
        self
    }

    /// Only the first `count` times.
    pub fn first(mut self, count: usize) -> Rule {
        self.last = count;
        self
    }

    /// Not the first `count` times.
    pub fn after(mut self, count: usize) -> Rule {
        self.first = count + 1;
        self
    }

    /// Does this.
    pub fn act(mut self, action: Action) -> Rule {
        self.action = action;
        self
    }

    /// Answers this.
    pub fn reply(self, text: &str) -> Rule {
        self.act(Action::Reply(text.to_owned()))
    }

    /// Answers this and closes.
    pub fn reply_then_close(self, text: &str) -> Rule {
        self.act(Action::ReplyThenClose(text.to_owned()))
    }

    /// Closes without a word.
    pub fn close(self) -> Rule {
        self.act(Action::Close)
    }

    /// Resets the connection.
    pub fn reset(self) -> Rule {
        self.act(Action::Reset)
    }

    /// Says nothing any more.
    pub fn stall(self) -> Rule {
        self.act(Action::Stall)
    }

    /// Waits until the peer is told to behave otherwise.
    pub fn hold(self) -> Rule {
        self.act(Action::Hold)
    }

    /// Waits before the usual.
    pub fn delay(self, time: Duration) -> Rule {
        self.act(Action::Delay(time))
    }
}

/// TLS of a peer.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificates, keys, versions.
    pub config: Arc<rustls::ServerConfig>,
    /// From the first byte on, without STARTTLS.
    pub implicit: bool,
    /// What goes wrong.
    pub fault: Option<TlsFault>,
}

/// What goes wrong with TLS, after the `220` to STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// Answers the client's hello with text.
    Garbage,
    /// Closes instead of a handshake.
    Close,
    /// Never answers the handshake.
    Stall,
    /// Resets instead of a handshake.
    Reset,
    /// Sends a plaintext reply to a command that was never given behind the `220`, in the same segment.
    PlaintextBehind,
    /// Is done with the handshake, then closes.
    CloseAfter,
}

/// What a peer offers and does.
#[derive(Clone, Debug)]
pub struct Behaviour {
    pub(super) name: String,
    pub(super) extensions: Vec<String>,
    pub(super) rules: Vec<Rule>,
    pub(super) lmtp: bool,
    pub(super) tls: Option<Tls>,
    pub(super) idle: Option<(Duration, Option<String>)>,
    pub(super) greylist: Option<Duration>,
    pub(super) connections_max: Option<usize>,
    pub(super) keep_data: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour::new()
    }
}

impl Behaviour {
    /// Takes everything; offers PIPELINING, 8BITMIME and SIZE.
    pub fn new() -> Behaviour {
        Behaviour {
            name: "sink.test.example".into(),
            extensions: ["PIPELINING", "8BITMIME", "SIZE"].map(String::from).into(),
            rules: Vec::new(),
            lmtp: false,
            tls: None,
            idle: None,
            greylist: None,
            connections_max: None,
            keep_data: true,
        }
    }

    /// Its name in the greeting and at EHLO.
    pub fn name(mut self, name: &str) -> Behaviour {
        self.name = name.into();
        self
    }

    /// Offers exactly these extensions (and STARTTLS, which comes with [`Behaviour::tls`]).
    pub fn extensions(mut self, extensions: &[&str]) -> Behaviour {
        self.extensions = extensions.iter().map(|extension| (*extension).into()).collect();
        self
    }

    /// Offers one more: `CHUNKING`, `SMTPUTF8`, `DSN`, `AUTH PLAIN LOGIN`, `LIMITS RCPTMAX=10`.
    pub fn extension(mut self, extension: &str) -> Behaviour {
        self.extensions.push(extension.into());
        self
    }

    /// Makes an exception. Earlier rules go first.
    pub fn rule(mut self, rule: Rule) -> Behaviour {
        self.rules.push(rule);
        self
    }

    /// Speaks LMTP (RFC 2033): LHLO, and a reply for each recipient after the dot.
    pub fn lmtp(mut self) -> Behaviour {
        self.lmtp = true;
        self
    }

    /// Offers STARTTLS, or speaks TLS at once.
    pub fn tls(mut self, tls: Tls) -> Behaviour {
        self.tls = Some(tls);
        self
    }

    /// Closes a connection on which nothing comes for so long: with this last reply, or without a word.
    pub fn drop_idle(mut self, time: Duration, farewell: Option<&str>) -> Behaviour {
        self.idle = Some((time, farewell.map(str::to_owned)));
        self
    }

    /// Refuses each (client, sender, recipient) with a 450 until so much time has passed since its first try.
    pub fn greylist(mut self, time: Duration) -> Behaviour {
        self.greylist = Some(time);
        self
    }

    /// Answers further connections than so many at once with a 421.
    pub fn connections_max(mut self, count: usize) -> Behaviour {
        self.connections_max = Some(count);
        self
    }

    /// Keeps no message bytes, for tests with many or large messages.
    pub fn forget_data(mut self) -> Behaviour {
        self.keep_data = false;
        self
    }
}

/// How often the rules of a behaviour have fitted, and what the greylist knows.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// By rule, and by connection where the rule says so.
    fits: HashMap<(usize, Option<usize>), usize>,
    /// When a client first brought mail from a sender to a recipient.
    greylist: HashMap<(IpAddr, String, String), Instant>,
}

impl Counters {
    /// When this was first seen: now, at the latest.
    pub(super) fn first_seen(&mut self, triplet: (IpAddr, String, String)) -> Instant {
        *self.greylist.entry(triplet).or_insert_with(Instant::now)
    }

    pub(super) fn exception(
        &mut self,
        behaviour: &Behaviour,
        phase: Phase,
        connection: usize,
        text: &str,
    ) -> Option<Action> {
        for (number, rule) in behaviour.rules.iter().enumerate() {
            let fits = |part: &String| text.to_ascii_lowercase().contains(part);
            if rule.phase != phase || !rule.containing.as_ref().is_none_or(fits) {
                continue;
            }
            let count = self.fits.entry((number, rule.on_each_connection.then_some(connection))).or_default();
            *count += 1;
            if (rule.first..=rule.last).contains(count) {
                return Some(rule.action.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(behaviour: &Behaviour, moments: &[(Phase, usize, &str)]) -> Vec<Option<String>> {
        let mut counters = Counters::default();
        let reply = |action| match action {
            Action::Reply(text) => text,
            other => format!("{other:?}"),
        };
        let answer = |&(phase, connection, text): &(Phase, usize, &str)| {
            counters.exception(behaviour, phase, connection, text).map(reply)
        };
        moments.iter().map(answer).collect()
    }

    #[test]
    fn rules_count_what_they_fit_and_the_first_that_fits_decides() {
        let behaviour = Behaviour::new()
            .rule(Rule::at(Phase::Rcpt).containing("BAD@").reply("550 no"))
            .rule(Rule::at(Phase::Rcpt).after(1).first(2).reply("451 later"))
            .rule(Rule::at(Phase::Mail).on_each_connection().nth(2).close());
        let moments = [
            (Phase::Rcpt, 0, "RCPT TO:<a@b.test>"),
            (Phase::Rcpt, 0, "RCPT TO:<bad@b.test>"),
            (Phase::Rcpt, 1, "RCPT TO:<a@b.test>"),
            (Phase::Rcpt, 1, "RCPT TO:<a@b.test>"),
            (Phase::Mail, 0, "MAIL"),
            (Phase::Mail, 1, "MAIL"),
            (Phase::Mail, 1, "MAIL"),
        ];
        let expected = [None, Some("550 no"), Some("451 later"), None, None, None, Some("Close")];
        assert_eq!(replies(&behaviour, &moments), expected.map(|reply| reply.map(str::to_owned)));
    }
}
