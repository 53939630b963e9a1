//! `check_host()` (RFC 7208, section 4), from the answers that are known.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::macros::{MacroString, Values, dotted, reverse_name};
use super::record::{Mechanism, Prefixes, Record, is_spf};
use super::{Answer, Identity, Kind, Outcome, Question, Result};
use crate::idn::a_labels;
use crate::limits::{MAX_SPF_ADDRESS_NAMES, MAX_SPF_QUESTIONS, MAX_SPF_TERMS, MAX_SPF_VOID};

/// Why the evaluation does not go on.
enum Stop {
    /// An answer is missing.
    Ask(Question),
    /// It ends with this result, whatever stands further on.
    End(Result, String),
}

type Evaluated<T> = std::result::Result<T, Stop>;

/// The outcome, or the first question whose answer is missing.
pub(super) fn evaluate(
    identity: &Identity,
    answers: &HashMap<Question, Answer>,
) -> std::result::Result<Outcome, Question> {
    let (local, domain) = match identity.sender.rsplit_once('@') {
        Some((local, domain)) => (local, domain),
        None if identity.sender.is_empty() => ("", identity.helo.as_str()),
        None => ("", identity.sender.as_str()),
    };
    let local = if local.is_empty() { "postmaster" } else { local };
    let domain = a_labels(domain);
    let mut evaluation = Evaluation {
        identity,
        answers,
        local,
        sender_domain: domain.trim_end_matches('.'),
        domain: domain.clone().into_owned(),
        terms: 0,
        void: 0,
    };
    match evaluation.check_host(&domain, true) {
        Ok(outcome) => Ok(outcome),
        Err(Stop::Ask(question)) => Err(question),
        Err(Stop::End(result, reason)) => Ok(Outcome { result, reason: Some(reason) }),
    }
}

struct Evaluation<'a> {
    identity: &'a Identity,
    answers: &'a HashMap<Question, Answer>,
    local: &'a str,
    sender_domain: &'a str,
    /// The domain whose record is being evaluated.
    domain: String,
    /// Terms so far that need the DNS.
    terms: usize,
    /// Questions so far that had no answer.
    void: usize,
}

impl Evaluation<'_> {
    /// The recursion is bounded by the number of terms. Explanations of included records do not count.
    fn check_host(&mut self, domain: &str, explain: bool) -> Evaluated<Outcome> {
        let Some(name) = valid_name(domain).filter(|name| name.contains('.')) else {
            let reason = Some(format!("{domain} is no domain"));
            return Ok(Outcome { result: Result::None, reason });
        };
        let texts = match self.ask(Kind::Txt, name)? {
            Answer::Records(texts) => texts.as_slice(),
            Answer::Nothing => &[],
            Answer::Temporary => return Err(temporary(domain)),
        };
        let mut records = texts.iter().filter(|text| is_spf(text));
        let Some(text) = records.next() else { return Ok(Outcome { result: Result::None, reason: None }) };
        if records.next().is_some() {
            return Err(permanent(format!("{domain} has several records")));
        }
        let record =
            Record::parse(text).map_err(|term| permanent(format!("{domain} has a wrong term: {term}")))?;
        let outer = std::mem::replace(&mut self.domain, domain.trim_end_matches('.').to_owned());
        let outcome = self.record(&record, explain)?;
        self.domain = outer;
        Ok(outcome)
    }

    fn record(&mut self, record: &Record, explain: bool) -> Evaluated<Outcome> {
        for directive in &record.directives {
            if !self.matches(&directive.mechanism)? {
                continue;
            }
            let reason = match &record.explanation {
                Some(explanation) if explain && directive.result == Result::Fail => {
                    self.explain(explanation)?
                }
                _ => None,
            };
            return Ok(Outcome { result: directive.result, reason });
        }
        let Some(redirect) = &record.redirect else {
            return Ok(Outcome { result: Result::Neutral, reason: None });
        };
        self.count_term()?;
        let target = self.domain_of(redirect)?;
        let outcome = self.check_host(&target, explain)?;
        match outcome.result {
            Result::None => Err(permanent(format!("{target} has no record to redirect to"))),
            _ => Ok(outcome),
        }
    }

    fn matches(&mut self, mechanism: &Mechanism) -> Evaluated<bool> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, bits) => Ok(in_network(self.identity.ip, IpAddr::V4(*network), *bits)),
            Mechanism::Ip6(network, bits) => Ok(in_network(self.identity.ip, IpAddr::V6(*network), *bits)),
            Mechanism::Include(target) => self.include(target),
            Mechanism::A(target, prefixes) => {
                let name = self.target(target.as_ref())?;
                self.has_address(&name, *prefixes)
            }
            Mechanism::Mx(target, prefixes) => self.mx(target.as_ref(), *prefixes),
            Mechanism::Ptr(target) => {
                let name = self.target(target.as_ref())?;
                let Some(name) = valid_name(&name) else { return Ok(false) };
                let names = self.names_of_client()?;
                Ok(names.iter().any(|own| is_within(own, &name)))
            }
            Mechanism::Exists(target) => {
                let name = self.target(Some(target))?;
                Ok(!self.records(Kind::A, &name)?.is_empty())
            }
        }
    }

    /// Counts a term that needs the DNS, and gives the name that it is about.
    fn target(&mut self, target: Option<&MacroString>) -> Evaluated<String> {
        self.count_term()?;
        match target {
            Some(target) => self.domain_of(target),
            None => Ok(self.domain.clone()),
        }
    }

    fn include(&mut self, target: &MacroString) -> Evaluated<bool> {
        let name = self.target(Some(target))?;
        if !name.is_ascii() {
            // From the local part: such a term matches nothing (RFC 8616, section 4).
            return Ok(false);
        }
        match self.check_host(&name, false)?.result {
            Result::Pass => Ok(true),
            Result::Fail | Result::SoftFail | Result::Neutral => Ok(false),
            Result::None => Err(permanent(format!("{name} has no record to include"))),
            result @ (Result::TempError | Result::PermError) => {
                Err(Stop::End(result, format!("{name} cannot be included")))
            }
        }
    }

    fn mx(&mut self, target: Option<&MacroString>, prefixes: Prefixes) -> Evaluated<bool> {
        let name = self.target(target)?;
        let hosts = self.records(Kind::Mx, &name)?;
        if hosts.len() > MAX_SPF_ADDRESS_NAMES {
            return Err(permanent(format!("{name} has more than {MAX_SPF_ADDRESS_NAMES} mail exchangers")));
        }
        for host in hosts {
            if self.has_address(&host, prefixes)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an address of `name` is the client's, as far as the prefix goes.
    fn has_address(&mut self, name: &str, prefixes: Prefixes) -> Evaluated<bool> {
        let (kind, bits) = match self.identity.ip {
            IpAddr::V4(_) => (Kind::A, prefixes.ip4),
            IpAddr::V6(_) => (Kind::Aaaa, prefixes.ip6),
        };
        let addresses = self.records(kind, name)?;
        let mut addresses = addresses.iter().filter_map(|address| address.parse().ok());
        Ok(addresses.any(|address| in_network(self.identity.ip, address, bits)))
    }

    /// The names of the client's address that have this address, among the first ten. What the DNS does not tell
    /// is skipped (section 5.5).
    fn names_of_client(&mut self) -> Evaluated<Vec<String>> {
        let names = self.records_if_any(Kind::Ptr, &reverse_name(self.identity.ip))?;
        let kind = if self.identity.ip.is_ipv4() { Kind::A } else { Kind::Aaaa };
        let mut validated = Vec::new();
        for name in names.into_iter().take(MAX_SPF_ADDRESS_NAMES) {
            let addresses = self.records_if_any(kind, &name)?;
            if addresses.iter().any(|address| address.parse() == Ok(self.identity.ip)) {
                validated.push(name.trim_end_matches('.').to_ascii_lowercase());
            }
        }
        Ok(validated)
    }

    /// The text for those that are refused; none if anything about it is wrong: then the result stands as if the record
    /// had no `exp` (section 6.2).
    fn explain(&mut self, target: &MacroString) -> Evaluated<Option<String>> {
        match self.explanation(target) {
            Err(Stop::End(..)) => Ok(None),
            found => found,
        }
    }

    fn explanation(&mut self, target: &MacroString) -> Evaluated<Option<String>> {
        let name = self.domain_of(target)?;
        let Some(name) = valid_name(&name) else { return Ok(None) };
        let Answer::Records(texts) = self.ask(Kind::Txt, name)? else { return Ok(None) };
        let [text] = texts.as_slice() else { return Ok(None) };
        match MacroString::parse_explanation(text) {
            Some(explanation) => explanation.expand(self).map(Some),
            None => Ok(None),
        }
    }

    /// The name that a domain-spec means; from one that is too long, labels go on the left (section 7.3).
    fn domain_of(&mut self, target: &MacroString) -> Evaluated<String> {
        let mut name = target.expand(self)?;
        if name.ends_with('.') {
            name.pop();
        }
        while name.len() > 253 {
            match name.split_once('.') {
                Some((_, rest)) => name = rest.to_owned(),
                None => break,
            }
        }
        Ok(name)
    }

    fn count_term(&mut self) -> Evaluated<()> {
        self.terms += 1;
        if self.terms > MAX_SPF_TERMS {
            return Err(permanent(format!("more than {MAX_SPF_TERMS} terms need the DNS")));
        }
        Ok(())
    }

    /// The records of a name; a name that cannot exist has none.
    fn records(&mut self, kind: Kind, name: &str) -> Evaluated<Vec<String>> {
        let Some(valid) = valid_name(name) else { return Ok(Vec::new()) };
        match self.ask(kind, valid)? {
            Answer::Records(records) => Ok(records.clone()),
            Answer::Temporary => Err(temporary(name)),
            Answer::Nothing => {
                self.void += 1;
                if self.void > MAX_SPF_VOID {
                    return Err(permanent(format!("more than {MAX_SPF_VOID} names do not exist")));
                }
                Ok(Vec::new())
            }
        }
    }

    /// The same where a failing DNS counts as no records.
    fn records_if_any(&mut self, kind: Kind, name: &str) -> Evaluated<Vec<String>> {
        match self.records(kind, name) {
            Err(Stop::End(Result::TempError, _)) => Ok(Vec::new()),
            records => records,
        }
    }

    fn ask(&self, kind: Kind, name: String) -> Evaluated<&Answer> {
        let question = Question { kind, name };
        match self.answers.get(&question) {
            Some(answer) => Ok(answer),
            None if self.answers.len() < MAX_SPF_QUESTIONS => Err(Stop::Ask(question)),
            None => Err(permanent("too many DNS questions".to_owned())),
        }
    }

    /// The letter `p`: a name of the client, best the domain itself, then one below it, then any.
    fn name_of_client(&mut self) -> Evaluated<String> {
        let names = self.names_of_client()?;
        let domain = self.domain.to_ascii_lowercase();
        let best = names.iter().find(|name| **name == domain);
        let best = best.or_else(|| names.iter().find(|name| is_within(name, &domain)));
        Ok(best.or(names.first()).map_or("unknown", String::as_str).to_owned())
    }
}

impl Values for Evaluation<'_> {
    type Error = Stop;

    fn value(&mut self, letter: u8) -> Evaluated<Option<String>> {
        let identity = self.identity;
        Ok(Some(match letter {
            b's' => format!("{}@{}", self.local, self.sender_domain),
            b'l' => self.local.to_owned(),
            b'o' => self.sender_domain.to_owned(),
            b'd' => self.domain.clone(),
            b'i' => dotted(identity.ip),
            b'p' => self.name_of_client()?,
            b'v' => if identity.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            b'h' => a_labels(&identity.helo).into_owned(),
            b'c' => identity.ip.to_string(),
            b'r' => identity.receiver.clone(),
            b't' => identity.now.to_string(),
            _ => return Ok(None),
        }))
    }
}

fn permanent(reason: String) -> Stop {
    Stop::End(Result::PermError, reason)
}

fn temporary(name: &str) -> Stop {
    Stop::End(Result::TempError, format!("the DNS gave no answer about {name}"))
}

/// The name as it is asked for, if the DNS can have it: labels of 1 to 63 bytes, printable ASCII, 253 in all.
fn valid_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|byte| (0x20..0x7f).contains(&byte))
    };
    (name.len() <= 253 && name.split('.').all(is_label)).then(|| name.to_ascii_lowercase())
}

/// Whether `name` is `domain` or below it; both lower case.
fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn in_network(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::to_bits(ip) & mask == Ipv4Addr::to_bits(network) & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::to_bits(ip) & mask == Ipv6Addr::to_bits(network) & mask
        }
        _ => false,
    }
}
