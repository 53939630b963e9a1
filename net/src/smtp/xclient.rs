//! XCLIENT: the attributes by which a trusted client tells whom it speaks for.

/// What XCLIENT can tell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Attribute {
    /// Address of the client.
    Addr,
    /// Address that the client connected to.
    DestAddr,
    /// Port that the client connected to.
    DestPort,
    /// What the client said with HELO or EHLO.
    Helo,
    /// The user that logged in.
    Login,
    /// Name of the client, by DNS.
    Name,
    /// Port of the client.
    Port,
    /// SMTP or ESMTP.
    Proto,
}

impl Attribute {
    /// All, by name.
    pub const ALL: [Attribute; 8] = [
        Attribute::Addr,
        Attribute::DestAddr,
        Attribute::DestPort,
        Attribute::Helo,
        Attribute::Login,
        Attribute::Name,
        Attribute::Port,
        Attribute::Proto,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Attribute::Addr => "ADDR",
            Attribute::DestAddr => "DESTADDR",
            Attribute::DestPort => "DESTPORT",
            Attribute::Helo => "HELO",
            Attribute::Login => "LOGIN",
            Attribute::Name => "NAME",
            Attribute::Port => "PORT",
            Attribute::Proto => "PROTO",
        }
    }

    /// The attribute of this name, in any case.
    pub fn parse(name: &[u8]) -> Option<Attribute> {
        Attribute::ALL.into_iter().find(|attribute| attribute.name().as_bytes().eq_ignore_ascii_case(name))
    }
}
