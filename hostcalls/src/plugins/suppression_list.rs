//! `suppression-list`: addresses that shall get no mail.

use std::collections::HashSet;
use std::rc::Rc;

use net::smtp::domain::normalise;
use script::fault::Fault;
use script::host::HostCall;
use script::std::regex::Pattern;
use script::value::Value;

use super::lines;
use crate::arguments::Arguments;
use crate::library::HostFuture;
use crate::limits::{LIST_ENTRIES_MAX, LIST_MATCHING};
use crate::{Execution, offload};

/// A list. Addresses are compared without regard to case, and domains by their A-labels.
#[derive(Debug, Default)]
pub(super) struct SuppressionList {
    /// `localpart@domain`, `@domain`, `localpart@`.
    exact: HashSet<Vec<u8>>,
    /// `/pattern/`
    patterns: Vec<Pattern>,
}

impl SuppressionList {
    pub(super) fn read(text: &[u8], wrong: &mut dyn FnMut(usize, &str)) -> SuppressionList {
        let mut list = SuppressionList::default();
        lines::each(text, wrong, &mut |line| list.add(line));
        list
    }

    fn add(&mut self, line: &[u8]) -> Result<(), String> {
        if self.exact.len() + self.patterns.len() >= LIST_ENTRIES_MAX {
            return Err(format!("there are more than {LIST_ENTRIES_MAX} entries"));
        }
        if let Some(body) = line.strip_prefix(b"/") {
            let end = body.iter().rposition(|byte| *byte == b'/').ok_or("the / at the end is missing")?;
            let flags = [&body[end + 1..], b"i"].concat();
            self.patterns.push(Pattern::compile(&body[..end], &flags).map_err(|fault| fault.to_string())?);
        } else if line.contains(&b'@') {
            self.exact.insert(comparable(line));
        } else {
            return Err("it is no address, @domain, localpart@ or /pattern/".to_owned());
        }
        Ok(())
    }

    fn has(&self, email: &[u8]) -> bool {
        let email = comparable(email);
        let at = email.iter().rposition(|byte| *byte == b'@');
        self.exact.contains(&email)
            || at.is_some_and(|at| self.exact.contains(&email[at..]) || self.exact.contains(&email[..=at]))
    }

    fn matches(&self, email: &[u8]) -> Result<bool, Fault> {
        let begun = crate::time::monotonic_s();
        for pattern in &self.patterns {
            if pattern.is_match(email)? {
                return Ok(true);
            }
            if crate::time::monotonic_s() - begun > LIST_MATCHING.as_secs_f64() {
                return Err(Fault::error(format!("the patterns took longer than {LIST_MATCHING:?}")));
            }
        }
        Ok(false)
    }
}

fn comparable(address: &[u8]) -> Vec<u8> {
    let at = address.iter().rposition(|byte| *byte == b'@').map_or(address.len(), |at| at + 1);
    let (local_part, domain) = address.split_at(at);
    let local_part = local_part.to_ascii_lowercase();
    match normalise(domain) {
        Some(domain) => [local_part, domain.into_bytes()].concat(),
        None => [local_part, domain.to_ascii_lowercase()].concat(),
    }
}

/// `suppression_list(id, email)`: none when there is no such list, or a pattern fails.
pub(super) fn suppression_list(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let id = call.str(0)?.to_string_lossy().into_owned();
        let email = call.str(1)?.as_bytes().to_vec();
        let plugins = &execution.environment.settings.plugins;
        let Some(list) = plugins.suppression_lists.get(&id).cloned() else { return Ok(Value::None) };
        if list.has(&email) || list.patterns.is_empty() {
            return Ok(list.has(&email).into());
        }
        let found = offload::offload("suppression_list", move || list.matches(&email).ok()).await?;
        Ok(found.map_or(Value::None, Value::from))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_domains_local_parts_and_patterns_are_found() {
        let text = b"# who\nUser@Example.com\n@gone.example\nabuse@\n@xn--bcher-kva.example\nUser@B\xc3\x9cCHER.org\n/^list-.*@/\nnonsense\n/x\n";
        let mut told = Vec::new();
        let list = SuppressionList::read(text, &mut |line, what| told.push(format!("{line}: {what}")));
        assert_eq!(told.len(), 2, "{told:?}");
        for (email, expected) in [
            ("user@example.COM", true),
            ("other@example.com", false),
            ("any@gone.example", true),
            ("any@sub.gone.example", false),
            ("abuse@anywhere", true),
            // Regression: a domain was not found in its other form.
            ("x@b\u{fc}cher.example", true),
            ("x@XN--bcher-kva.example", true),
            ("user@xn--bcher-kva.org", true),
            ("LIST-7@x", true),
            ("my-list-7@x", false),
            ("", false),
        ] {
            let found = list.has(email.as_bytes()) || list.matches(email.as_bytes()).unwrap();
            assert_eq!(found, expected, "{email}");
        }
    }
}
