//! Conversations as text files, one for each source: `server/*.txt`.
//!
//! A line is one of
//! - `S: TEXT`: the server says TEXT;
//! - `C: TEXT`: the client sends TEXT and CRLF; `C+ TEXT` without the CRLF. `\r`, `\n`, `\0`, `\xHH` and `\\` are
//!   escapes, and `*N` at the very end repeats the whole N times;
//! - `message: TEXT`, `discard: WHY`, `close: WHY`: what the server's caller sees by the end;
//! - `option: NAME VALUE`, `refuse: ADDRESS REPLY`: how the server is set up;
//! - `# TEXT`: a comment.
//!
//! Each file is played as written, with all the client's bytes at once, and cut in two at every byte.

use net::smtp::address::Address;
use net::smtp::reply::{EnhancedCode, Reply};
use net::smtp::server::{BareEol, Config};

use crate::checks::{Served, Server, serve, server_config};
use crate::text::{show, split_titles, unescape};

struct Transcript {
    name: String,
    config: Config,
    refusals: Vec<(Address, Reply)>,
    xclient: bool,
    turns: Vec<Turn>,
    messages: Vec<Vec<u8>>,
    discards: Vec<String>,
    close: Option<String>,
}

enum Turn {
    Client(Vec<u8>),
    Server(Vec<u8>),
}

#[test]
fn the_server_keeps_to_every_transcript() {
    for transcript in transcripts() {
        play_as_written(&transcript);
        play_pipelined(&transcript);
    }
}

/// What the server says must come when it has been asked for, not only in the end.
fn play_as_written(transcript: &Transcript) {
    let mut server = Server::new(transcript.config.clone(), transcript.refusals.clone());
    if transcript.xclient {
        server.session.offer_xclient();
    }
    let mut said = Vec::new();
    let talks_first = matches!(transcript.turns.first(), Some(Turn::Client(_)));
    if talks_first {
        // The connect event is answered before the input is seen, as a driver does it.
        let mut nothing: &[u8] = b"";
        server.session.step(&mut nothing);
        server.session.accept();
    } else {
        said = server.feed(b"");
    }
    for turn in &transcript.turns {
        match turn {
            Turn::Client(bytes) => said.extend(server.feed(bytes)),
            Turn::Server(line) => {
                assert!(
                    said.starts_with(line),
                    "{}: wanted {}, not {}",
                    transcript.name,
                    show(line),
                    show(&said)
                );
                said.drain(..line.len());
            }
        }
    }
    assert_eq!(show(&said), "", "{}: more than was wanted", transcript.name);
    check(transcript, &server.served);
}

fn play_pipelined(transcript: &Transcript) {
    if matches!(transcript.turns.first(), Some(Turn::Client(_))) || transcript.xclient {
        return;
    }
    let (mut input, mut output) = (Vec::new(), Vec::new());
    for turn in &transcript.turns {
        match turn {
            Turn::Client(bytes) => input.extend_from_slice(bytes),
            Turn::Server(line) => output.extend_from_slice(line),
        }
    }
    // Cutting is quadratic: a file with much input is cut in fewer places.
    let stride = if input.len() < 4000 { 1 } else { input.len() / 50 };
    for cut in (0..=input.len()).step_by(stride) {
        let served = serve(&transcript.config, &transcript.refusals, &[&input[..cut], &input[cut..]]);
        assert_eq!(show(&served.output), show(&output), "{} cut at {cut}", transcript.name);
        check(transcript, &served);
    }
}

fn check(transcript: &Transcript, served: &Served) {
    let name = &transcript.name;
    let messages: Vec<String> = served.messages.iter().map(|message| show(&message.body)).collect();
    let wanted: Vec<String> = transcript.messages.iter().map(|body| show(body)).collect();
    assert_eq!(messages, wanted, "{name}: messages");
    let discards: Vec<String> = served.discards.iter().map(|discard| format!("{discard:?}")).collect();
    assert_eq!(discards, transcript.discards, "{name}: discards");
    assert_eq!(served.close.map(|close| format!("{close:?}")), transcript.close, "{name}: close");
}

fn transcripts() -> Vec<Transcript> {
    split_titles("server").iter().map(|(at, title, lines)| parse(&format!("{at} ({title})"), lines)).collect()
}

fn parse(name: &str, lines: &[&str]) -> Transcript {
    let mut transcript = Transcript {
        name: name.to_owned(),
        config: server_config(BareEol::Reject),
        refusals: Vec::new(),
        xclient: false,
        turns: Vec::new(),
        messages: Vec::new(),
        discards: Vec::new(),
        close: None,
    };
    for line in lines {
        parse_line(&mut transcript, line).unwrap_or_else(|| panic!("{name}: {line}"));
    }
    transcript
}

fn parse_line(transcript: &mut Transcript, line: &str) -> Option<()> {
    let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
    match kind {
        "S:" => transcript.turns.push(Turn::Server([text.as_bytes(), b"\r\n"].concat())),
        "C:" => transcript.turns.push(Turn::Client(unescape(text, b"\r\n")?)),
        "C+" => transcript.turns.push(Turn::Client(unescape(text, b"")?)),
        "message:" => transcript.messages.push(unescape(text, b"")?),
        "discard:" => transcript.discards.push(text.to_owned()),
        "close:" => transcript.close = Some(text.to_owned()),
        "refuse:" => {
            let mut words = text.splitn(4, ' ');
            let address = Address::parse(words.next()?.as_bytes()).ok()?;
            let code = words.next()?.parse().ok()?;
            let (enhanced, _) = EnhancedCode::parse_prefix(words.next()?.as_bytes())?;
            transcript.refusals.push((address, Reply::new(code, Some(enhanced), words.next()?)));
        }
        "option:" if text == "xclient true" => transcript.xclient = true,
        "option:" => set_option(&mut transcript.config, text)?,
        _ => return None,
    }
    Some(())
}

fn set_option(config: &mut Config, text: &str) -> Option<()> {
    let (name, value) = text.split_once(' ')?;
    match name {
        "bareeol" if value == "convert" => config.bare_eol = BareEol::Convert,
        "maxsize" => config.size_bytes_max = value.parse().ok()?,
        "maxrecipients" => config.recipients_max = value.parse().ok()?,
        "maxmessages" => config.messages_max = value.parse().ok()?,
        "maxhops" => config.hops_max = value.parse().ok()?,
        "helo.required" => config.hello_required = value.parse().ok()?,
        "starttls" => config.extensions.starttls = value.parse().ok()?,
        "tls.required" => config.tls_required = value.parse().ok()?,
        "smtputf8" => config.extensions.smtputf8 = value.parse().ok()?,
        "chunking" => config.extensions.chunking = value.parse().ok()?,
        "limits" => config.extensions.limits = value.parse().ok()?,
        "auth" => config.extensions.auth = value.parse().ok()?,
        "auth.tls" => config.auth.tls_required = value.parse().ok()?,
        "dsn" => config.extensions.dsn = value.parse().ok()?,
        "enhancedstatuscodes" => config.extensions.enhanced_status_codes = value.parse().ok()?,
        _ => return None,
    }
    Some(())
}
