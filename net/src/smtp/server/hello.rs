//! HELO, EHLO and what they announce.

use super::event::Verb;
use super::session::{Question, Session};
use super::{Extensions, xclient};

/// What a caller chose to announce in the place of the usual list.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) extensions: Extensions,
    pub(super) mechanisms: Box<[Box<str>]>,
    /// The bytes of `SIZE`; 0: none were named.
    size_bytes_max: u64,
}

impl Session {
    /// The lines that the answer to EHLO will have, without its first: keywords with their arguments.
    pub fn keywords(&self) -> Vec<String> {
        let config = &*self.config;
        let offered = config.extensions.on_connection(self.encrypted);
        let size = match config.size_bytes_max {
            0 => "SIZE".to_owned(),
            max => format!("SIZE {max}"),
        };
        let lines = [
            (offered.pipelining, "PIPELINING".to_owned()),
            (offered.size, size),
            (offered.eight_bit_mime, "8BITMIME".to_owned()),
            (offered.enhanced_status_codes, "ENHANCEDSTATUSCODES".to_owned()),
            (offered.chunking, "CHUNKING".to_owned()),
            (offered.smtputf8, "SMTPUTF8".to_owned()),
            (offered.dsn, "DSN".to_owned()),
            (offered.limits, self.limits()),
            (offered.require_tls, "REQUIRETLS".to_owned()),
            (offered.starttls, "STARTTLS".to_owned()),
            (self.offers_auth(), format!("AUTH {}", config.auth.mechanisms.join(" "))),
            (self.xclient, xclient::KEYWORD.to_owned()),
        ];
        lines.into_iter().filter(|(on, _)| *on).map(|(_, line)| line).collect()
    }

    /// Answers [`Event::Hello`](super::Event::Hello) with this text in the first line, or the usual one, and, to
    /// EHLO, with these keywords in the place of [`keywords`](Self::keywords). The peer can use what they name, of
    /// what this server knows: unnamed parameters are unknown. Control characters become `?`.
    ///
    /// # Panics
    /// When that event is not pending.
    pub fn accept_hello(&mut self, text: Option<&str>, keywords: Option<Vec<String>>) {
        let Question::Hello(verb) = self.question() else { panic!("only HELO and EHLO announce anything") };
        self.announced = match &keywords {
            Some(keywords) if verb == Verb::Ehlo => Some(Box::new(self.announce(keywords))),
            _ => None,
        };
        let lines = match verb {
            Verb::Ehlo => keywords.unwrap_or_else(|| self.keywords()),
            Verb::Helo => Vec::new(),
        };
        self.push_hello(text, &lines);
        self.answered(true);
    }

    /// What this connection is offered.
    pub(super) fn offered(&self) -> Extensions {
        match &self.announced {
            Some(announced) => announced.extensions,
            None => {
                let offered = self.config.extensions.on_connection(self.encrypted);
                Extensions { auth: self.offers_auth(), ..offered }
            }
        }
    }

    /// Bytes that a message may have: as announced, but not more than this server takes; 0: any number.
    pub(super) fn size_bytes_max(&self) -> u64 {
        let announced = self.announced.as_ref().map_or(0, |announced| announced.size_bytes_max);
        match (announced, self.config.size_bytes_max) {
            (0, most) | (most, 0) => most,
            (announced, most) => most.min(announced),
        }
    }

    /// Whether this is one of the mechanisms offered, as it is written there.
    pub(super) fn offered_mechanism(&self, name: &[u8]) -> Option<Box<str>> {
        let mechanisms = match &self.announced {
            Some(announced) => &announced.mechanisms,
            None => &self.config.auth.mechanisms,
        };
        mechanisms.iter().find(|mechanism| mechanism.as_bytes().eq_ignore_ascii_case(name)).cloned()
    }

    fn offers_auth(&self) -> bool {
        self.has_auth() && (self.encrypted || !self.config.auth.tls_required)
    }

    /// Whether AUTH is not offered because the connection is in clear.
    pub(super) fn auth_waits_for_tls(&self) -> bool {
        self.has_auth() && !self.offers_auth()
    }

    fn has_auth(&self) -> bool {
        self.config.extensions.auth && !self.config.auth.mechanisms.is_empty()
    }

    fn limits(&self) -> String {
        let config = &*self.config;
        let mut text = format!("LIMITS RCPTMAX={}", config.recipients_max);
        if config.messages_max > 0 {
            text.push_str(&format!(" MAILMAX={}", config.messages_max));
        }
        text
    }

    fn announce(&self, keywords: &[String]) -> Announced {
        let has = |name: &str| {
            keywords
                .iter()
                .any(|line| line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(name)))
        };
        let of = |name: &str| {
            let line = keywords
                .iter()
                .find(|line| line.split_once(' ').is_some_and(|(word, _)| word.eq_ignore_ascii_case(name)));
            line.map(|line| line.split_ascii_whitespace().skip(1)).into_iter().flatten()
        };
        let mechanisms: Box<[Box<str>]> = of("AUTH").map(Box::from).collect();
        let size_bytes_max = of("SIZE").next().and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
        let able = self.config.extensions.on_connection(self.encrypted);
        let extensions = Extensions {
            pipelining: has("PIPELINING"),
            size: has("SIZE"),
            eight_bit_mime: has("8BITMIME"),
            enhanced_status_codes: has("ENHANCEDSTATUSCODES"),
            chunking: has("CHUNKING"),
            smtputf8: has("SMTPUTF8"),
            dsn: has("DSN"),
            limits: has("LIMITS"),
            require_tls: has("REQUIRETLS") && self.encrypted,
            starttls: has("STARTTLS") && able.starttls,
            auth: able.auth && !mechanisms.is_empty(),
        };
        Announced { extensions, mechanisms, size_bytes_max }
    }

    fn push_hello(&mut self, text: Option<&str>, lines: &[String]) {
        let buffer = self.output.buffer();
        let mut push = |last: bool, line: &[u8]| {
            buffer.extend_from_slice(if last { b"250 " } else { b"250-" });
            buffer.extend(line.iter().map(|byte| if byte.is_ascii_control() { b'?' } else { *byte }));
            buffer.extend_from_slice(b"\r\n");
        };
        push(lines.is_empty(), text.map_or(self.config.hostname.as_bytes(), str::as_bytes));
        for (index, line) in lines.iter().enumerate() {
            push(index + 1 == lines.len(), line.as_bytes());
        }
    }
}
