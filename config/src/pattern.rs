//! `match` values: what suspends, groupings and lists compare a field with.

use std::collections::BTreeMap;

use fields::Field;
use ipnet::IpNet;
use regex::RegexBuilder;

use crate::limits::MAX_REGEX_BYTES;
use crate::report::Problem;
use crate::scalar::{is_host_name, network, quoted};
use crate::tree::Match;

/// One `match` value, except `@list`, which is resolved while loading. Plain data: the queue does the matching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The value itself; in lower case for domains, whose comparison ignores case.
    Exact(String),
    /// `*.example.com`, kept as `.example.com` in lower case: one or more labels in front, never the bare domain.
    Subdomains(String),
    /// The text between the slashes of `/…/`, not anchored; it compiles. `/…/i` becomes `(?i)…`.
    Regex(String),
    /// An address or network; an address is a network of one.
    Network(IpNet),
    /// `&id`: the group of a configured grouping. Kept without the `&`.
    Group(String),
}

/// `lists`: named patterns per field.
pub type Lists = BTreeMap<(Field, String), Vec<Pattern>>;

/// Reads a `match` value for `field`; `@name` only where `lists` are allowed.
pub(crate) fn parse(text: &str, field: Field, lists: bool) -> Result<Match, Problem> {
    if let Some(name) = text.strip_prefix('@') {
        return match (lists, name) {
            (_, "") => Err(Problem::new("a list name is missing after @")),
            (false, _) => {
                Err(Problem::new(format!("{} refers to a list, which is not possible here", quoted(text))))
            }
            (true, name) => Ok(Match::List(name.to_owned())),
        };
    }
    let pattern = match field {
        Field::LocalIp | Field::RemoteIp => network(text).map(Pattern::Network),
        Field::TenantId | Field::JobId | Field::TransportId => exact_or_regex(text),
        Field::Grouping => grouping(text),
        Field::RemoteMx | Field::RecipientDomain => domain(text),
    };
    pattern.map(Match::Pattern)
}

fn exact_or_regex(text: &str) -> Result<Pattern, Problem> {
    match as_regex(text) {
        Some(regex) => regex,
        None => Ok(Pattern::Exact(text.to_owned())),
    }
}

fn grouping(text: &str) -> Result<Pattern, Problem> {
    if text.starts_with('#') {
        return Err(Problem::new("the form #name is gone")
            .hint("define a grouping under queues.grouping and use &name"));
    }
    if let Some(id) = text.strip_prefix('&') {
        return Ok(Pattern::Group(id.to_owned()));
    }
    // The values of the default groups are domains.
    match subdomains(text) {
        Some(pattern) => pattern,
        None => exact_or_regex(text).map(lower_case),
    }
}

fn domain(text: &str) -> Result<Pattern, Problem> {
    if let Some(regex) = as_regex(text) {
        return regex;
    }
    if let Some(pattern) = subdomains(text) {
        return pattern;
    }
    if is_host_name(text) {
        return Ok(lower_case(Pattern::Exact(text.to_owned())));
    }
    let problem = Problem::new(format!("{} is not a domain", quoted(text)));
    let hint = if text.is_ascii() {
        "use a domain, *.domain or /regex/"
    } else {
        "write it in its ASCII form (xn--…)"
    };
    Err(problem.hint(hint))
}

fn subdomains(text: &str) -> Option<Result<Pattern, Problem>> {
    let domain = text.strip_prefix("*.")?;
    Some(if is_host_name(domain) {
        Ok(Pattern::Subdomains(format!(".{}", domain.to_ascii_lowercase())))
    } else {
        Err(Problem::new(format!("{} is not of the form *.domain", quoted(text))))
    })
}

fn lower_case(pattern: Pattern) -> Pattern {
    match pattern {
        Pattern::Exact(text) => Pattern::Exact(text.to_ascii_lowercase()),
        other => other,
    }
}

/// `/…/` or `/…/i`.
fn as_regex(text: &str) -> Option<Result<Pattern, Problem>> {
    let inside = text.strip_prefix('/')?;
    let (source, ignore_case) = match inside.strip_suffix("/i") {
        Some(source) => (source, true),
        None => (inside.strip_suffix('/')?, false),
    };
    let source = if ignore_case { format!("(?i){source}") } else { source.to_owned() };
    let compiled = RegexBuilder::new(&source).size_limit(MAX_REGEX_BYTES).build();
    Some(match compiled {
        Ok(_) => Ok(Pattern::Regex(source)),
        Err(error) => {
            let text = error.to_string();
            // The library draws a picture over several lines; the last says what is wrong.
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Err(Problem::new(format!("regular expression does not compile: {reason}")))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_by_its_first_character() {
        let exact = |text: &str| Pattern::Exact(text.to_owned());
        let network = |text: &str| Pattern::Network(text.parse().expect("a network"));
        for (text, field, expected) in [
            ("Slow.Example", Field::RecipientDomain, exact("slow.example")),
            ("*.Slow.example", Field::RemoteMx, Pattern::Subdomains(".slow.example".to_owned())),
            ("/\\.edu$/", Field::RemoteMx, Pattern::Regex("\\.edu$".to_owned())),
            ("/\\.EDU$/i", Field::RemoteMx, Pattern::Regex("(?i)\\.EDU$".to_owned())),
            ("Tenant", Field::TenantId, exact("Tenant")),
            ("/a/b", Field::JobId, exact("/a/b")),
            ("*.a", Field::JobId, exact("*.a")),
            ("&big", Field::Grouping, Pattern::Group("big".to_owned())),
            ("Big.example", Field::Grouping, exact("big.example")),
            ("192.0.2.0/24", Field::RemoteIp, network("192.0.2.0/24")),
            ("192.0.2.7", Field::RemoteIp, network("192.0.2.7/32")),
            ("2001:db8::/32", Field::LocalIp, network("2001:db8::/32")),
        ] {
            match parse(text, field, false) {
                Ok(Match::Pattern(found)) => assert_eq!(found, expected, "{text}"),
                Ok(Match::List(_)) => panic!("{text} is a list"),
                Err(problem) => panic!("{text}: {}", problem.text()),
            }
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for (text, field) in [
            ("@", Field::JobId),
            ("/(/", Field::RemoteMx),
            ("/(?=a)b/", Field::RemoteMx),
            ("*.", Field::RemoteMx),
            ("a*.example", Field::RemoteMx),
            ("bücher.example", Field::RecipientDomain),
            ("example.com", Field::RemoteIp),
            ("#old", Field::Grouping),
            ("/(a{1000}){1000}/", Field::JobId),
        ] {
            assert!(parse(text, field, true).is_err(), "{text}");
        }
    }
}
