//! `tls.protocols`: lists of versions.

use crate::report::Problem;
use crate::scalar::quoted;

/// The versions that a list leaves of those that this program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsVersions {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3. One of the two is there.
    pub tls13: bool,
}

const KNOWN: [&str; 6] = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

impl TlsVersions {
    /// Both.
    pub const ALL: TlsVersions = TlsVersions { tls12: true, tls13: true };

    /// Names with `!` are taken away from all, names without are all there is. TlsVersions before 1.2 are known, and never
    /// spoken.
    ///
    /// # Errors
    /// A sentence about the list.
    pub fn parse(text: &str) -> Result<TlsVersions, String> {
        TlsVersions::read(text).map_err(String::from)
    }

    pub(crate) fn read(text: &str) -> Result<TlsVersions, Problem> {
        let mut named: Vec<&str> = Vec::new();
        let mut excluded: Vec<&str> = Vec::new();
        for word in text.split([',', ':', ' ']).filter(|word| !word.is_empty()) {
            let (list, name) = match word.strip_prefix('!').or_else(|| word.strip_prefix('-')) {
                Some(name) => (&mut excluded, name),
                None => (&mut named, word.trim_start_matches('+')),
            };
            let known = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name));
            list.push(known.ok_or_else(|| {
                Problem::new(format!("{} is not a version of TLS", quoted(name)))
                    .hint(format!("known: {}", KNOWN.join(", ")))
            })?);
        }
        let left = |name: &str| (named.is_empty() || named.contains(&name)) && !excluded.contains(&name);
        let versions = TlsVersions { tls12: left("TLSv1.2"), tls13: left("TLSv1.3") };
        if !versions.tls12 && !versions.tls13 {
            return Err(Problem::new("leaves neither TLSv1.2 nor TLSv1.3")
                .hint("older versions are never spoken: allow one of these"));
        }
        Ok(versions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_take_away_or_choose() {
        let versions = |tls12, tls13| Some(TlsVersions { tls12, tls13 });
        for (list, expected) in [
            ("!SSLv2,!SSLv3,!TLSv1,!TLSv1.1", versions(true, true)),
            ("!TLSv1.2", versions(false, true)),
            ("TLSv1.2", versions(true, false)),
            ("tlsv1.3, TLSv1", versions(false, true)),
            ("TLSv1.2,TLSv1.3,!TLSv1.3", versions(true, false)),
            ("", versions(true, true)),
            ("SSLv3", None),
            ("!TLSv1.2,!TLSv1.3", None),
            ("TLSv1.4", None),
        ] {
            assert_eq!(TlsVersions::parse(list).ok(), expected, "{list:?}");
        }
    }
}
