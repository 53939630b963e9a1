//! Mail addresses and host names as values that cannot hold CR, LF, NUL or any other control character.

/// A mailbox, `local@domain`, as bytes just as the peer wrote them: quoting and case are kept, the angle
/// brackets and a source route are not. The domain may be absent only for `postmaster`.
///
/// A null reverse-path `<>` is no address: it is `None` of an `Option<Address>`.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Address {
    text: Box<[u8]>,
    /// Index of the `@`; the length of `text` when there is none.
    at: u32,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}

impl Address {
    /// Parses a mailbox without angle brackets, all of `text`.
    pub fn parse(text: &[u8]) -> Result<Address, AddressError> {
        todo!()
    }
    /// The whole address as written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }
    /// The local part as written, with its quotes.
    pub fn local_part(&self) -> &[u8] {
        todo!()
    }
    /// The domain or address literal (with its brackets) as written; empty for `postmaster` alone.
    pub fn domain(&self) -> &[u8] {
        todo!()
    }
    /// Whether all bytes are ASCII. If not, a peer without SMTPUTF8 cannot take it (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

/// Why something is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressError {
    /// A control character, or a byte that its place does not allow.
    Character,
    /// No `@` with a domain behind it, and not `postmaster`.
    NoDomain,
    /// Nothing in front of the `@`, two dots in a row, an unfinished quoted string.
    LocalPart,
    /// An empty label, a label with a wrong character, an address literal that holds no address.
    Domain,
    /// Longer than the limits say.
    TooLong,
}

/// A host name or address literal, as said in a greeting.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Hostname(Box<[u8]>);

impl Hostname {
    /// Parses a domain (letters, digits, hyphens, underscores, dots) or an address literal in brackets.
    pub fn parse(text: &[u8]) -> Result<Hostname, AddressError> {
        todo!()
    }
    /// The name as written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
