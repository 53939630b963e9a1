//! What one field of a rule matches.

use ipnet::IpNet;
use regex::Regex;
use rustc_hash::FxHashSet;

use crate::matching::Fact;

/// The values of one field of a rule; any of them will do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matcher {
    pub(crate) exact: FxHashSet<Box<str>>,
    /// Domains of `*.domain` values.
    pub(crate) below: FxHashSet<Box<str>>,
    pub(crate) regexes: Vec<Regex>,
    pub(crate) networks: Vec<IpNet>,
}

impl Matcher {
    pub(crate) fn matches(&self, fact: Fact<'_>) -> bool {
        match fact {
            Fact::Ip(ip) => {
                let ip = ip.to_canonical();
                self.networks.iter().any(|network| network.contains(&ip))
            }
            Fact::Text(text) => {
                self.exact.contains(text)
                    || (!self.below.is_empty() && parents(text).any(|parent| self.below.contains(parent)))
                    || self.regexes.iter().any(|regex| regex.is_match(text))
            }
        }
    }

    /// All values can be found by looking up the text or its parents.
    pub(crate) fn is_indexable(&self) -> bool {
        self.regexes.is_empty() && self.networks.is_empty()
    }
}

/// The domains above `domain`: for `a.b.c`, `b.c` and `c`.
pub(crate) fn parents(domain: &str) -> impl Iterator<Item = &str> {
    domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..])
}
