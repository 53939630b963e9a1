//! XCLIENT: the attributes by which a trusted client tells whom it speaks for.

/// What XCLIENT can tell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum XclientAttribute {
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

impl XclientAttribute {
    /// All, by name.
    pub const ALL: [XclientAttribute; 8] = [
        XclientAttribute::Addr,
        XclientAttribute::DestAddr,
        XclientAttribute::DestPort,
        XclientAttribute::Helo,
        XclientAttribute::Login,
        XclientAttribute::Name,
        XclientAttribute::Port,
        XclientAttribute::Proto,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            XclientAttribute::Addr => "ADDR",
            XclientAttribute::DestAddr => "DESTADDR",
            XclientAttribute::DestPort => "DESTPORT",
            XclientAttribute::Helo => "HELO",
            XclientAttribute::Login => "LOGIN",
            XclientAttribute::Name => "NAME",
            XclientAttribute::Port => "PORT",
            XclientAttribute::Proto => "PROTO",
        }
    }

    /// The attribute of this name, in any case.
    pub fn parse(name: &[u8]) -> Option<XclientAttribute> {
        XclientAttribute::ALL
            .into_iter()
            .find(|attribute| attribute.name().as_bytes().eq_ignore_ascii_case(name))
    }
}
