//! The `version` property.

use std::fmt;

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
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
