//! The `version` property.

use std::fmt;

use crate::Scope;
use crate::prepare::key_text;
use crate::report::{Problem, Report};
use crate::scalar::not_a_string;
use crate::yaml::{Kind, Node, Position, Value};

/// The version that a file declares. Behaviour is gated with `version >= Version::new(6, 2)`: numbers are compared,
/// so 6.10 is newer than 6.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Before the dot.
    pub major: u32,
    /// After the dot.
    pub minor: u32,
}

impl Version {
    /// The oldest version of MTA files that is understood.
    pub const OLDEST: Version = Version::new(6, 0);
    /// The newest.
    pub const NEWEST: Version = Version::new(6, 10);

    /// `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Version {
        Version { major, minor }
    }

    /// Two numbers and nothing else; no leading zeros, so that each version has one spelling.
    fn parse(text: &str) -> Option<Version> {
        let (major, minor) = text.split_once('.')?;
        let version = Version::new(major.parse().ok()?, minor.parse().ok()?);
        (version.to_string() == text).then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The version that the file with this root declares, if it is one that is understood. The words are those of the
/// documented tools.
pub(crate) fn of_file(root: &Node, scope: Scope, report: &mut Report) -> Option<Version> {
    let Value::Map(entries) = &root.value else { return None };
    let Some((_, value)) = entries.iter().find(|(key, _)| key_text(key) == "version") else {
        if scope == Scope::Server {
            report.error(Position::START, "", Problem::new("\"Missing version\""));
        }
        return None;
    };
    let scalar = match &value.value {
        Value::Scalar(scalar) => scalar,
        other => {
            let found = if matches!(other, Value::List(_)) { "a list" } else { "a mapping" };
            report.error(value.at, "version", Problem::new(format!("expected a string, got {found}")));
            return None;
        }
    };
    if scalar.kind() != Kind::Text {
        report.error(value.at, "version", not_a_string(scalar, scalar.kind()));
        return None;
    }
    let known = Version::OLDEST..=Version::NEWEST;
    let version = Version::parse(&scalar.text).filter(|version| known.contains(version));
    if version.is_none() {
        let shown: String = scalar.text.chars().filter(|c| !c.is_control()).take(20).collect();
        let text =
            format!("\"Unknown version\" ({shown}; known: {} to {})", Version::OLDEST, Version::NEWEST);
        report.error(value.at, "", Problem::new(text));
    }
    version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(Version::new(6, 10) > Version::new(6, 9));
        assert!(Version::new(10, 0) > Version::new(6, 10));
    }

    #[test]
    fn a_version_has_one_spelling() {
        assert_eq!(Version::parse("6.10"), Some(Version::NEWEST));
        for text in ["6", "6.1.0", "06.1", "6.01", "+6.1", "6.", ".1", "", "6.1 ", "99999999999.1"] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }
}
