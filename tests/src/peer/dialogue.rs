//! One connection of a peer, from its greeting to its end.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::wire::Wire;
use super::{Action, Behaviour, Message, Phase, Shared, Tls, TlsFault, lock};

/// As long as any test.
const FOREVER: Duration = Duration::from_secs(3_600);

pub(super) fn serve(stream: TcpStream, source: IpAddr, number: usize, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let mut dialogue = Dialogue {
        wire: Wire::new(stream),
        source,
        number,
        shared,
        message: Message { connection: number, ..Message::default() },
    };
    // A client that goes away ends its session.
    let _ = dialogue.run();
    // Before the client can see the end and connect anew.
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

/// The connection is over.
struct Ended;

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Ended {
        Ended
    }
}

type Go<T = ()> = Result<T, Ended>;

struct Dialogue<'a> {
    wire: Wire,
    source: IpAddr,
    number: usize,
    shared: &'a Shared,
    /// The transaction.
    message: Message,
}

/// A reply that was decided on.
struct Decision {
    text: String,
    then_close: bool,
}

impl Decision {
    fn is_positive(&self) -> bool {
        matches!(self.text.as_bytes().first(), Some(b'2' | b'3'))
    }
}

impl Dialogue<'_> {
    fn run(&mut self) -> Go {
        let client = self.source.to_string();
        self.exception(Phase::Connect, &client)?;
        let behaviour = self.shared.behaviour();
        if let Some(tls) = behaviour.tls.as_ref().filter(|tls| tls.implicit) {
            self.shake_hands(tls)?;
        }
        let too_many =
            behaviour.connections_max.is_some_and(|max| self.shared.open.load(Ordering::SeqCst) > max);
        let usual = match too_many {
            true => "421 4.7.0 too many connections".to_owned(),
            false => format!("220 {} ESMTP", behaviour.name),
        };
        let banner = self.decide(Phase::Banner, &client, &usual)?;
        if !self.say(&banner)? {
            return Err(Ended);
        }
        while let Some(command) = self.command()? {
            self.shared.record(|records| records.command(self.number, &command));
            self.obey(&command)?;
        }
        Ok(())
    }

    /// The next command; none at the end of the stream.
    fn command(&mut self) -> Go<Option<String>> {
        let behaviour = self.shared.behaviour();
        self.wire.set_patience(behaviour.idle.as_ref().map(|(time, _)| *time))?;
        let line = self.wire.line();
        let idle =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        if let (Err(error), Some((_, Some(farewell)))) = (&line, &behaviour.idle)
            && idle(error)
        {
            self.wire.write(format!("{farewell}\r\n").as_bytes())?;
        }
        let line = line?;
        self.wire.set_patience(None)?;
        Ok(line.map(|line| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn obey(&mut self, command: &str) -> Go {
        let verb = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" | "LHLO" => self.hello(&verb, command),
            "STARTTLS" => self.start_tls(command),
            "AUTH" => self.auth(command),
            "MAIL" => self.mail(command),
            "RCPT" => self.rcpt(command),
            "DATA" => self.data(command),
            "BDAT" => self.bdat(command),
            "RSET" => {
                self.forget_transaction();
                self.answer(Phase::Rset, command, "250 2.0.0 ok").map(drop)
            }
            "NOOP" => self.answer(Phase::Noop, command, "250 2.0.0 ok").map(drop),
            "XCLIENT" => self.answer(Phase::Xclient, command, "220 as you say").map(drop),
            "QUIT" => {
                self.answer(Phase::Quit, command, "221 2.0.0 bye")?;
                Err(Ended)
            }
            _ => self.answer(Phase::Noop, command, "500 5.5.1 what?").map(drop),
        }
    }

    fn hello(&mut self, verb: &str, command: &str) -> Go {
        let behaviour = self.shared.behaviour();
        let name = command.get(5..).unwrap_or_default().trim().to_owned();
        self.shared.record(|records| records.connections[self.number].hello = Some(name));
        self.forget_transaction();
        let wanted = if behaviour.lmtp { verb == "LHLO" } else { verb != "LHLO" };
        let usual = match verb {
            _ if !wanted => "500 5.5.1 not this protocol".to_owned(),
            "HELO" => format!("250 {}", behaviour.name),
            _ => self.offer(&behaviour),
        };
        self.answer(Phase::Hello, command, &usual).map(drop)
    }

    fn offer(&self, behaviour: &Behaviour) -> String {
        let mut lines = vec![behaviour.name.clone()];
        lines.extend(behaviour.extensions.iter().cloned());
        if behaviour.tls.is_some() && !self.wire.is_tls() {
            lines.push("STARTTLS".into());
        }
        let last = lines.len() - 1;
        let line =
            |(number, text): (usize, &String)| format!("250{}{text}", if number == last { ' ' } else { '-' });
        lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
    }

    fn start_tls(&mut self, command: &str) -> Go {
        let behaviour = self.shared.behaviour();
        let Some(tls) = behaviour.tls.as_ref().filter(|_| !self.wire.is_tls()) else {
            return self.answer(Phase::StartTls, command, "502 5.5.1 no TLS here").map(drop);
        };
        let usual = match tls.fault {
            Some(TlsFault::PlaintextBehind) => "220 2.0.0 go on\r\n250 2.0.0 injected",
            _ => "220 2.0.0 go on",
        };
        if self.answer(Phase::StartTls, command, usual)? {
            self.shake_hands(tls)?;
            self.forget_transaction();
        }
        Ok(())
    }

    fn shake_hands(&mut self, tls: &Tls) -> Go {
        match tls.fault {
            Some(TlsFault::Garbage) => {
                self.wire.exactly(1)?;
                self.wire.write(b"454 4.7.0 TLS is not available right now\r\n")?;
                return Err(Ended);
            }
            Some(TlsFault::Close) => return Err(Ended),
            Some(TlsFault::Stall) => return self.stall(),
            Some(TlsFault::Reset) => {
                self.wire.reset_at_close();
                return Err(Ended);
            }
            Some(TlsFault::PlaintextBehind | TlsFault::CloseAfter) | None => {}
        }
        let outcome = self.wire.accept_tls(&tls.config);
        let failed = outcome.is_err();
        self.shared.record(|records| {
            let connection = &mut records.connections[self.number];
            match outcome {
                Ok(seen) => connection.tls = Some(seen),
                Err(error) => connection.tls_error = Some(error),
            }
        });
        if failed || tls.fault == Some(TlsFault::CloseAfter) { Err(Ended) } else { Ok(()) }
    }

    fn auth(&mut self, command: &str) -> Go {
        let mut words = command.split(' ').skip(1);
        let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
        let mut credentials = Vec::new();
        match (mechanism.as_str(), words.next()) {
            ("PLAIN", Some(initial)) => credentials = decode(initial),
            ("PLAIN", None) => credentials = self.prompt("")?,
            ("LOGIN", initial) => {
                for (prompt, given) in [("Username:", initial), ("Password:", None)] {
                    let word = match given {
                        Some(word) => decode(word),
                        None => self.prompt(prompt)?,
                    };
                    credentials.push(0);
                    credentials.extend(word);
                }
            }
            _ => return self.answer(Phase::Auth, command, "504 5.5.4 not this mechanism").map(drop),
        }
        self.shared.record(|records| records.connections[self.number].auth = Some(credentials));
        self.answer(Phase::Auth, command, "235 2.7.0 welcome").map(drop)
    }

    fn prompt(&mut self, text: &str) -> Go<Vec<u8>> {
        let text = data_encoding::BASE64.encode(text.as_bytes());
        self.wire.write(format!("334 {text}\r\n").as_bytes())?;
        Ok(decode(&self.command()?.ok_or(Ended)?))
    }

    fn mail(&mut self, command: &str) -> Go {
        self.forget_transaction();
        if self.answer(Phase::Mail, command, "250 2.1.0 ok")? {
            (self.message.from, self.message.mail_parameters) = path(command);
        }
        Ok(())
    }

    fn rcpt(&mut self, command: &str) -> Go {
        let (to, parameters) = path(command);
        let usual = match self.is_greylisted(&to) {
            true => "450 4.7.1 greylisted",
            false => "250 2.1.5 ok",
        };
        if self.answer(Phase::Rcpt, command, usual)? {
            self.message.to.push(to);
            self.message.rcpt_parameters.push(parameters);
        }
        Ok(())
    }

    fn is_greylisted(&self, to: &str) -> bool {
        let mut behaviour = lock(&self.shared.behaviour);
        let (behaviour, counters) = &mut *behaviour;
        let Some(time) = behaviour.greylist else { return false };
        counters.first_seen((self.source, self.message.from.clone(), to.to_owned())).elapsed() < time
    }

    fn data(&mut self, command: &str) -> Go {
        let usual = match self.message.to.is_empty() {
            true => "503 5.5.1 no recipients",
            false => "354 go on",
        };
        if !self.answer(Phase::Data, command, usual)? {
            return Ok(());
        }
        if let Some(early) = self.exception(Phase::Body, command)? {
            self.say(&early)?;
        }
        self.message.data = self.text()?;
        self.end_of_data()
    }

    /// The text of a message up to its final dot, dots undone. A line ends with CRLF only; a bare LF is a part of it.
    fn text(&mut self) -> Go<Vec<u8>> {
        let keep = self.shared.behaviour().keep_data;
        let (mut data, mut whole) = (Vec::new(), Vec::new());
        loop {
            whole.extend_from_slice(&self.wire.line()?.ok_or(Ended)?);
            if !whole.ends_with(b"\r\n") {
                continue;
            }
            if whole == b".\r\n" {
                return Ok(data);
            }
            if keep {
                data.extend_from_slice(whole.strip_prefix(b".").unwrap_or(&whole));
            }
            whole.clear();
        }
    }

    fn bdat(&mut self, command: &str) -> Go {
        let mut words = command.split_ascii_whitespace().skip(1);
        let Some(size) = words.next().and_then(|size| size.parse::<usize>().ok()) else {
            return self.answer(Phase::Bdat, command, "501 5.5.4 BDAT size [LAST]").map(drop);
        };
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let chunk = self.wire.exactly(size)?;
        if self.message.to.is_empty() {
            return self.answer(Phase::Bdat, command, "503 5.5.1 no recipients").map(drop);
        }
        if self.shared.behaviour().keep_data {
            self.message.data.extend_from_slice(&chunk);
        }
        self.message.chunks += 1;
        let decision = self.decide(Phase::Bdat, command, &format!("250 2.0.0 {size} octets"))?;
        match decision.is_positive() && last {
            true => self.end_of_data(),
            false => {
                if !self.say(&decision)? {
                    self.forget_transaction();
                }
                Ok(())
            }
        }
    }

    /// Takes the message or refuses it; with LMTP for each recipient.
    fn end_of_data(&mut self) -> Go {
        let message = self.forget_transaction();
        if !self.shared.behaviour().lmtp {
            let decision = self.decide(Phase::Dot, &message.to.join(" "), "250 2.0.0 taken")?;
            if decision.is_positive() {
                self.shared.record(|records| records.taken(message));
            }
            return self.say(&decision).map(drop);
        }
        let mut taken = Message { to: Vec::new(), rcpt_parameters: Vec::new(), ..message.clone() };
        let mut decisions = Vec::new();
        for (to, parameters) in message.to.iter().zip(&message.rcpt_parameters) {
            let decision = self.decide(Phase::Dot, to, "250 2.0.0 taken")?;
            if decision.is_positive() {
                taken.to.push(to.clone());
                taken.rcpt_parameters.push(parameters.clone());
            }
            decisions.push(decision);
        }
        if !taken.to.is_empty() {
            self.shared.record(|records| records.taken(taken));
        }
        decisions.iter().try_for_each(|decision| self.say(decision).map(drop))
    }

    fn forget_transaction(&mut self) -> Message {
        let fresh = Message { connection: self.number, ..Message::default() };
        std::mem::replace(&mut self.message, fresh)
    }

    /// Answers in this phase; true when what was asked for is to happen.
    fn answer(&mut self, phase: Phase, text: &str, usual: &str) -> Go<bool> {
        let decision = self.decide(phase, text, usual)?;
        self.say(&decision)
    }

    fn decide(&mut self, phase: Phase, text: &str, usual: &str) -> Go<Decision> {
        let exception = self.exception(phase, text)?;
        Ok(exception
            .unwrap_or_else(|| Decision { text: usual.to_owned(), then_close: usual.starts_with("421") }))
    }

    /// Does what a rule says about this moment, and gives the reply that it says.
    fn exception(&mut self, phase: Phase, text: &str) -> Go<Option<Decision>> {
        let behaviour = self.shared.behaviour();
        match self.shared.exception(phase, self.number, text) {
            None | Some(Action::Usual) => {}
            Some(Action::Reply(text)) => {
                return Ok(Some(Decision { then_close: text.starts_with("421"), text }));
            }
            Some(Action::ReplyThenClose(text)) => return Ok(Some(Decision { text, then_close: true })),
            Some(Action::Delay(time)) => self.shared.pause(time),
            Some(Action::Hold) => self.shared.pause_while(&behaviour),
            Some(Action::Stall) => self.stall()?,
            Some(Action::Close) => return Err(Ended),
            Some(Action::Reset) => {
                self.wire.reset_at_close();
                return Err(Ended);
            }
        }
        Ok(None)
    }

    fn stall(&self) -> Go {
        self.shared.pause(FOREVER);
        Err(Ended)
    }

    /// Sends a reply; true when it is a positive one.
    fn say(&mut self, decision: &Decision) -> Go<bool> {
        self.wire.write(format!("{}\r\n", decision.text).as_bytes())?;
        if decision.then_close { Err(Ended) } else { Ok(decision.is_positive()) }
    }
}

/// The path of MAIL or RCPT without its brackets, and what follows it.
fn path(command: &str) -> (String, String) {
    let Some((_, rest)) = command.split_once('<') else { return (String::new(), String::new()) };
    let mut quoted = false;
    let end = rest.find(|letter| {
        quoted ^= letter == '"';
        letter == '>' && !quoted
    });
    let (path, rest) = rest.split_at(end.unwrap_or(rest.len()));
    (path.to_owned(), rest.trim_start_matches('>').trim().to_owned())
}

fn decode(word: &str) -> Vec<u8> {
    data_encoding::BASE64.decode(word.as_bytes()).unwrap_or_default()
}
