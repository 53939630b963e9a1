//! Command lines.

use memchr::memchr2;

use super::Extensions;
use super::auth::{Response, decode_initial};
use super::event::{Hello, Mail, Rcpt, Verb, Written};
use super::message::Chunk;
use super::parameters::{self, OfMail};
use super::xclient::{self, XClient};
use crate::limits::{AUTH_LINE_BYTES_MAX, COMMAND_BYTES_MAX, COMMAND_LINE_BYTES_MAX, DOMAIN_BYTES_MAX};
use crate::smtp::address::Address;
use crate::smtp::error::PeerMisbehaved;

/// A command that is well formed.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Command {
    /// Mechanism as written, initial response decoded, if it can be.
    Auth {
        mechanism: Box<[u8]>,
        initial: Option<Response>,
    },
    Bdat(Chunk),
    Data,
    Hello(Hello),
    Help,
    Mail(Mail),
    Noop,
    Quit,
    Rcpt(Rcpt),
    Rset,
    StartTls,
    Vrfy,
    XClient(XClient),
}

/// Parses a line as it came: up to but without its LF. Parameters of what is not offered are unknown.
pub(super) fn parse(line: &[u8], offered: Extensions) -> Result<Command, PeerMisbehaved> {
    let line = match line.strip_suffix(b"\r") {
        Some(line) if memchr2(b'\r', 0, line).is_none() => line,
        // How many bytes to skip is anybody's guess.
        _ if strip_keyword(line, b"bdat ").is_some() => return Err(PeerMisbehaved::BadChunkSize),
        _ => return Err(PeerMisbehaved::ControlCharacter),
    };
    let line = line.trim_ascii_end();
    let (verb, arguments) = split_verb(line);
    let Some(verb) = Known::parse(verb) else { return Err(PeerMisbehaved::UnknownCommand) };
    let line_bytes_max = match verb {
        Known::Auth => AUTH_LINE_BYTES_MAX,
        Known::Mail | Known::Rcpt | Known::XClient => COMMAND_LINE_BYTES_MAX,
        _ => COMMAND_BYTES_MAX,
    };
    if line.len() > line_bytes_max && !matches!(verb, Known::Bdat) {
        return Err(PeerMisbehaved::CommandTooLong);
    }
    match verb {
        Known::Auth => parse_auth(arguments),
        Known::Bdat => parse_bdat(arguments),
        Known::Data => without_arguments(arguments, Command::Data),
        Known::Ehlo => parse_hello(Verb::Ehlo, arguments),
        Known::Helo => parse_hello(Verb::Helo, arguments),
        Known::Help => Ok(Command::Help),
        Known::Mail => parse_mail(arguments, offered),
        Known::Noop => Ok(Command::Noop),
        Known::Quit => without_arguments(arguments, Command::Quit),
        Known::Rcpt => parse_rcpt(arguments, offered),
        Known::Rset => without_arguments(arguments, Command::Rset),
        Known::StartTls => without_arguments(arguments, Command::StartTls),
        Known::Vrfy if arguments.is_empty() => Err(PeerMisbehaved::Syntax),
        Known::Vrfy => Ok(Command::Vrfy),
        Known::XClient => Ok(Command::XClient(xclient::parse(arguments)?)),
        Known::NotOffered => Err(PeerMisbehaved::NotImplemented),
    }
}

/// The verb of a line as it came, well formed or not.
pub(super) fn verb(line: &[u8]) -> Option<Known> {
    Known::parse(split_verb(line.trim_ascii_end()).0)
}

fn split_verb(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|&byte| byte == b' ') {
        Some(blank) => (&line[..blank], line[blank..].trim_ascii_start()),
        None => (line, b""),
    }
}

/// Whether a line, as it came, announces content that follows it. Blanks before the verb make it another command.
pub(super) fn is_chunk(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    strip_keyword(line, b"bdat ").is_some() || line.trim_ascii_end().eq_ignore_ascii_case(b"bdat")
}

/// The verbs this server knows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    Auth,
    Bdat,
    Data,
    Ehlo,
    Helo,
    Help,
    Mail,
    Noop,
    NotOffered,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    XClient,
}

/// Verbs that exist in some extension or in an old standard.
const NOT_OFFERED: &[&[u8]] = &[b"etrn", b"expn", b"saml", b"send", b"soml", b"turn", b"xforward"];

impl Known {
    fn parse(verb: &[u8]) -> Option<Known> {
        let mut lower = [0; 8];
        let lower = lower.get_mut(..verb.len())?;
        lower.copy_from_slice(verb);
        lower.make_ascii_lowercase();
        match &*lower {
            b"auth" => Some(Known::Auth),
            b"bdat" => Some(Known::Bdat),
            b"data" => Some(Known::Data),
            b"ehlo" => Some(Known::Ehlo),
            b"helo" => Some(Known::Helo),
            b"help" => Some(Known::Help),
            b"mail" => Some(Known::Mail),
            b"noop" => Some(Known::Noop),
            b"quit" => Some(Known::Quit),
            b"rcpt" => Some(Known::Rcpt),
            b"rset" => Some(Known::Rset),
            b"starttls" => Some(Known::StartTls),
            b"vrfy" => Some(Known::Vrfy),
            b"xclient" => Some(Known::XClient),
            other => NOT_OFFERED.contains(&other).then_some(Known::NotOffered),
        }
    }

    /// As the states of a session are called (reference: hooks 9.4).
    pub(super) fn stage(self) -> Option<&'static str> {
        match self {
            Known::Auth => Some("AUTH"),
            Known::Bdat | Known::Data => Some("DATA"),
            Known::Ehlo => Some("EHLO"),
            Known::Helo => Some("HELO"),
            Known::Mail => Some("MAIL"),
            Known::Noop => Some("NOOP"),
            Known::Quit => Some("QUIT"),
            Known::Rcpt => Some("RCPT"),
            Known::Rset => Some("RSET"),
            Known::StartTls => Some("STARTTLS"),
            Known::XClient => Some("XCLIENT"),
            Known::Help | Known::NotOffered | Known::Vrfy => None,
        }
    }
}

fn without_arguments(arguments: &[u8], command: Command) -> Result<Command, PeerMisbehaved> {
    if arguments.is_empty() { Ok(command) } else { Err(PeerMisbehaved::Syntax) }
}

fn parse_auth(arguments: &[u8]) -> Result<Command, PeerMisbehaved> {
    let mut words = arguments.splitn(2, |&byte| byte == b' ');
    let mechanism = words.next().unwrap_or_default();
    if mechanism.is_empty() || !mechanism.iter().all(u8::is_ascii_graphic) {
        return Err(PeerMisbehaved::Syntax);
    }
    let initial = words.next().map(<[u8]>::trim_ascii).filter(|text| !text.is_empty());
    Ok(Command::Auth { mechanism: mechanism.into(), initial: initial.map(decode_initial) })
}

/// A chunk of a size that cannot be read cannot be skipped, either: what would be taken for commands then?
fn parse_bdat(arguments: &[u8]) -> Result<Command, PeerMisbehaved> {
    let bad = PeerMisbehaved::BadChunkSize;
    let mut words = arguments.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let size = words.next().filter(|size| size.iter().all(u8::is_ascii_digit)).ok_or(bad)?;
    let left_bytes = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok()).ok_or(bad)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"last") => true,
        Some(_) => return Err(bad),
    };
    if words.next().is_some() {
        return Err(bad);
    }
    Ok(Command::Bdat(Chunk { left_bytes, last }))
}

/// The name is for the hooks to judge: many good clients send one that is no domain.
fn parse_hello(verb: Verb, host: &[u8]) -> Result<Command, PeerMisbehaved> {
    if host.is_empty() || host.len() > DOMAIN_BYTES_MAX || host.iter().any(u8::is_ascii_control) {
        return Err(PeerMisbehaved::Syntax);
    }
    Ok(Command::Hello(Hello { verb, host: host.into() }))
}

fn parse_mail(arguments: &[u8], offered: Extensions) -> Result<Command, PeerMisbehaved> {
    let path = strip_keyword(arguments, b"from:").ok_or(PeerMisbehaved::Syntax)?;
    let (sender, text) = Address::parse_path(path).map_err(|_| PeerMisbehaved::BadSender)?;
    let OfMail { size_bytes, body, auth, parameters } = parameters::parse_mail(text, offered)?;
    if let Some(sender) = &sender {
        check_utf8(sender, parameters.smtp_utf8, PeerMisbehaved::BadSender)?;
        if sender.domain().is_empty() {
            return Err(PeerMisbehaved::BadSender);
        }
    }
    let written = Written::new(text);
    Ok(Command::Mail(Mail { sender, size_bytes, body, auth, parameters, written }))
}

fn parse_rcpt(arguments: &[u8], offered: Extensions) -> Result<Command, PeerMisbehaved> {
    let path = strip_keyword(arguments, b"to:").ok_or(PeerMisbehaved::Syntax)?;
    let (recipient, text) = Address::parse_path(path).map_err(|_| PeerMisbehaved::BadRecipient)?;
    let recipient = recipient.ok_or(PeerMisbehaved::BadRecipient)?;
    let parameters = parameters::parse_rcpt(text, offered)?;
    Ok(Command::Rcpt(Rcpt { recipient, parameters, written: Written::new(text) }))
}

/// An address that is not ASCII needs SMTPUTF8 (RFC 6531), and is UTF-8 then; `bad` says that it is not.
pub(super) fn check_utf8(
    address: &Address,
    smtputf8: bool,
    bad: PeerMisbehaved,
) -> Result<(), PeerMisbehaved> {
    match () {
        () if address.is_ascii() => Ok(()),
        () if !smtputf8 => Err(PeerMisbehaved::NonAsciiAddress),
        () if std::str::from_utf8(address.as_bytes()).is_err() => Err(bad),
        () => Ok(()),
    }
}

/// What follows `FROM:` or `TO:`. Blanks behind the colon are no part of the grammar, but many clients send one.
fn strip_keyword<'l>(arguments: &'l [u8], keyword: &[u8]) -> Option<&'l [u8]> {
    let (start, rest) = arguments.split_at_checked(keyword.len())?;
    start.eq_ignore_ascii_case(keyword).then(|| rest.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::server::BodyType;

    /// What most servers offer.
    const OFFERED: Extensions =
        Extensions { size: true, eight_bit_mime: true, smtputf8: true, ..Extensions::NONE };

    fn parse_text(line: &str) -> Result<Command, PeerMisbehaved> {
        let mut parsed = parse(format!("{line}\r").as_bytes(), OFFERED);
        // What was written is not repeated in the cases.
        if let Ok(Command::Mail(Mail { written, .. }) | Command::Rcpt(Rcpt { written, .. })) = &mut parsed {
            *written = Written::default();
        }
        parsed
    }

    #[test]
    fn parameters_are_kept_as_they_were_written() {
        let parsed = parse(b"MAIL FROM:<> size=1 BODY=8bitMIME smtpUtf8\r", OFFERED);
        let Ok(Command::Mail(mail)) = parsed else { panic!("{parsed:?}") };
        let entries: Vec<_> = mail.written.entries().collect();
        let expected: [(&str, &[u8]); 3] = [("SIZE", b"1"), ("BODY", b"8bitMIME"), ("SMTPUTF8", b"")];
        assert!(entries.iter().map(|(key, value)| (key.as_str(), *value)).eq(expected), "{entries:?}");
    }

    fn mail(sender: &str, size_bytes: Option<u64>, body: BodyType) -> Command {
        let sender = (!sender.is_empty()).then(|| Address::parse(sender.as_bytes()).expect("valid"));
        let (parameters, written) = Default::default();
        Command::Mail(Mail { sender, size_bytes, body, auth: None, parameters, written })
    }

    fn rcpt(recipient: &str) -> Command {
        let recipient = Address::parse(recipient.as_bytes()).expect("valid");
        let (parameters, written) = Default::default();
        Command::Rcpt(Rcpt { recipient, parameters, written })
    }

    fn hello(verb: Verb, host: &str) -> Command {
        Command::Hello(Hello { verb, host: host.as_bytes().into() })
    }

    #[test]
    fn well_formed_commands_are_understood() {
        use BodyType::{EightBitMime, SevenBit};
        let cases = [
            ("EHLO client.example.net", hello(Verb::Ehlo, "client.example.net")),
            ("helo  [192.0.2.1] ", hello(Verb::Helo, "[192.0.2.1]")),
            ("EHLO what ever", hello(Verb::Ehlo, "what ever")),
            ("MAIL FROM:<>", mail("", None, SevenBit)),
            ("mail from:<a@b.example>", mail("a@b.example", None, SevenBit)),
            // Postfix, Exim and others take a blank here, and so clients send it.
            ("MAIL FROM: <a@b.example>", mail("a@b.example", None, SevenBit)),
            (
                "MAIL FROM:<a@b.example> SIZE=2000 BODY=8BITMIME",
                mail("a@b.example", Some(2000), EightBitMime),
            ),
            ("MAIL FROM:<a@b.example>  body=7bit  size=0 ", mail("a@b.example", Some(0), SevenBit)),
            ("MAIL FROM:<@c.example:a@b.example>", mail("a@b.example", None, SevenBit)),
            (
                "MAIL FROM:<a@b.example> SIZE=99999999999999999999",
                mail("a@b.example", Some(u64::MAX), SevenBit),
            ),
            ("RCPT TO:<Postmaster>", rcpt("Postmaster")),
            ("RCPT TO:<postmaster@b.example>", rcpt("postmaster@b.example")),
            ("rcpt to: <\"a b\"@b.example>", rcpt("\"a b\"@b.example")),
            ("DATA", Command::Data),
            ("BDAT 10", Command::Bdat(Chunk { left_bytes: 10, last: false })),
            ("bdat  0  last", Command::Bdat(Chunk { left_bytes: 0, last: true })),
            ("AUTH plain =", auth(b"plain", Some(Ok(Box::default())))),
            ("AUTH XYZ YWI=", auth(b"XYZ", Some(Ok(b"ab"[..].into())))),
            ("AUTH XYZ AAA", auth(b"XYZ", Some(Err(PeerMisbehaved::BadAuthResponse)))),
            ("auth LOGIN", auth(b"LOGIN", None)),
            ("auth LOGIN ", auth(b"LOGIN", None)),
            ("StartTls", Command::StartTls),
            ("data ", Command::Data),
            ("RSET", Command::Rset),
            ("NOOP anything", Command::Noop),
            ("VRFY user", Command::Vrfy),
            ("HELP MAIL", Command::Help),
            ("quit", Command::Quit),
        ];
        for (line, expected) in cases {
            assert_eq!(parse_text(line), Ok(expected), "{line}");
        }
    }

    fn auth(mechanism: &[u8], initial: Option<Response>) -> Command {
        Command::Auth { mechanism: mechanism.into(), initial }
    }

    #[test]
    fn malformed_commands_say_what_is_wrong() {
        let long = format!("MAIL FROM:<a@b.example> {}", "x".repeat(COMMAND_LINE_BYTES_MAX));
        let long_noop = format!("NOOP {}", "x".repeat(COMMAND_BYTES_MAX - 4));
        let cases = [
            ("", PeerMisbehaved::UnknownCommand),
            (" QUIT", PeerMisbehaved::UnknownCommand),
            ("FOO", PeerMisbehaved::UnknownCommand),
            ("MAILFROM:<a@b.example>", PeerMisbehaved::UnknownCommand),
            ("EXPN list", PeerMisbehaved::NotImplemented),
            ("STARTTLS now", PeerMisbehaved::Syntax),
            ("BDAT", PeerMisbehaved::BadChunkSize),
            ("BDAT -1", PeerMisbehaved::BadChunkSize),
            ("BDAT 0x10", PeerMisbehaved::BadChunkSize),
            ("BDAT 18446744073709551616", PeerMisbehaved::BadChunkSize),
            ("BDAT 10 LAST LAST", PeerMisbehaved::BadChunkSize),
            ("BDAT 10 FIRST", PeerMisbehaved::BadChunkSize),
            ("bdat 10\rLAST", PeerMisbehaved::BadChunkSize),
            ("AUTH", PeerMisbehaved::Syntax),
            ("XCLIENT", PeerMisbehaved::Syntax),
            ("EHLO", PeerMisbehaved::Syntax),
            ("HELO a\x07b", PeerMisbehaved::Syntax),
            ("DATA now", PeerMisbehaved::Syntax),
            ("RSET x", PeerMisbehaved::Syntax),
            ("QUIT x", PeerMisbehaved::Syntax),
            ("VRFY", PeerMisbehaved::Syntax),
            ("MAIL", PeerMisbehaved::Syntax),
            ("MAIL TO:<a@b.example>", PeerMisbehaved::Syntax),
            ("MAIL FROM:<a@b.example>SIZE=1", PeerMisbehaved::Syntax),
            ("MAIL FROM:a@b.example", PeerMisbehaved::BadSender),
            ("MAIL FROM:<a@b.example", PeerMisbehaved::BadSender),
            ("MAIL FROM:<a>", PeerMisbehaved::BadSender),
            ("MAIL FROM:<postmaster>", PeerMisbehaved::BadSender),
            ("MAIL FROM:<caf\u{e9}@b.example>", PeerMisbehaved::NonAsciiAddress),
            ("MAIL FROM:<a@b.example> SIZE=", PeerMisbehaved::BadParameter),
            ("MAIL FROM:<a@b.example> SIZE=-1", PeerMisbehaved::BadParameter),
            ("MAIL FROM:<a@b.example> SIZE=1 SIZE=1", PeerMisbehaved::BadParameter),
            ("MAIL FROM:<a@b.example> BODY=BINARYMIME", PeerMisbehaved::BadParameter),
            ("MAIL FROM:<a@b.example> BODY", PeerMisbehaved::BadParameter),
            ("MAIL FROM:<a@b.example> RET=HDRS", PeerMisbehaved::UnknownParameter),
            ("RCPT TO:<>", PeerMisbehaved::BadRecipient),
            ("RCPT TO:<a>", PeerMisbehaved::BadRecipient),
            ("RCPT TO:", PeerMisbehaved::BadRecipient),
            ("RCPT TO:<a@b.example> NOTIFY=NEVER", PeerMisbehaved::UnknownParameter),
            ("NOOP \0", PeerMisbehaved::ControlCharacter),
            ("NOOP\rQUIT", PeerMisbehaved::ControlCharacter),
            ("RCPT TO:<\"a\rb\"@b.example>", PeerMisbehaved::ControlCharacter),
            (&long, PeerMisbehaved::CommandTooLong),
            (&long_noop, PeerMisbehaved::CommandTooLong),
        ];
        for (line, expected) in cases {
            assert_eq!(parse_text(line), Err(expected), "{line:?}");
        }
        let latin1 = b"MAIL FROM:<caf\xe9@b.example> SMTPUTF8\r";
        assert_eq!(parse(latin1, OFFERED), Err(PeerMisbehaved::BadSender));
        assert_eq!(parse(b"QUIT", OFFERED), Err(PeerMisbehaved::ControlCharacter), "ended by a bare LF");
        assert_eq!(
            parse(b"HELO caf\xe9.example\r", OFFERED).map(|_| ()),
            Ok(()),
            "not UTF-8, still an argument"
        );
    }

    #[test]
    fn what_is_not_announced_is_not_taken() {
        for line in [&b"MAIL FROM:<> SIZE=1\r"[..], b"MAIL FROM:<> BODY=7BIT\r"] {
            assert_eq!(parse(line, Extensions::NONE), Err(PeerMisbehaved::UnknownParameter));
        }
    }
}
