//! The keys, defined once: what validates files, writes `docs/reference/configuration.md`, and will write JSON Schemas.
//!
//! One table per file. A key may have several rows, one per form (scalar, list, mapping) that its value can take.

mod app;
mod client;
mod delivery;
mod plugins;
mod policy;
mod server;
mod smtpd;
mod suspend;
mod transports;

use crate::{Field, Scope};

/// A file that `smtpd` or a client of it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    Startup,
    Running,
    Policy,
    Suspend,
    Delivery,
    Client,
}

/// One row: a key and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    pub(crate) default: Default,
    /// First release known to have it; empty: older than the public history, or not known.
    pub(crate) since: &'static str,
    /// What it means, for the reference document: a sentence without its full stop.
    pub(crate) meaning: &'static str,
    pub(crate) status: Status,
}

/// What a key is when it is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// Nothing, or what the defaults of the keys below make.
    None,
    /// This YAML value.
    Value(&'static str),
    /// Something known only at run time.
    Derived(&'static str),
    /// Nothing, which is not the same as an empty mapping: then this applies.
    Optional(&'static str),
}

/// Does this version do what the key says?
#[derive(Clone, Copy, Debug)]
pub(crate) enum Status {
    /// Yes.
    Used,
    /// No, and nothing bad comes of it: read, checked, and a warning with this reason. No warning for values in `fine`.
    NoEffect { why: &'static str, fine: &'static [&'static str] },
    /// No, and mail would not get what the operator expects: refused. `fine` values mean that the feature is off;
    NotYet { fine: &'static [&'static str] },
}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    One(Type),
    /// A scalar, or a list of scalars.
    OneOrMany(Type),
    List(&'static Shape),
    /// A scalar, or a mapping.
    OneOrObject(Type, &'static [Key]),
    Object(&'static [Key]),
    /// Free keys.
    Map(&'static Shape),
    /// Anything: not this program's to check.
    Any,
}

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Text without control characters; at least one character.
    Text,
    /// The same, or empty.
    TextOrEmpty,
    Integer {
        min: u64,
        max: u64,
    },
    Bool,
    /// Whole seconds, or a form like `1h30m`.
    Time {
        min_s: u64,
    },
    /// Bytes, or a form like `10MiB`.
    Size,
    /// A file mode, in quotes.
    Octal,
    /// An identifier.
    Id,
    /// One of these.
    Choice(&'static [&'static str]),
    /// One of the fields that rules look at.
    Field(&'static [&'static str]),
    /// An IPv4 or IPv6 address.
    Ip,
    /// An address or a network.
    Network,
    /// An address, with or without a port.
    Server {
        port: u16,
    },
    /// A host name as SMTP writes it.
    HostName,
    /// A host name or an address without brackets.
    Host,
    /// A file or directory.
    Path,
    /// At most 32 characters.
    Tag,
    /// Text, number or boolean.
    Free,
    /// A list of TLS versions.
    TlsVersions,
    /// A list of cipher suites as OpenSSL writes it.
    Ciphers,
    /// `true`, `false` or a host name.
    BoolOrHostName,
    /// A value to match `Field` with; `@list` where `lists` says so.
    Match {
        field: Field,
        lists: bool,
    },
}

impl File {
    pub(crate) const ALL: [File; 6] =
        [File::Startup, File::Running, File::Suspend, File::Policy, File::Delivery, File::Client];

    /// The keys of its root that count.
    pub(crate) fn keys(self, scope: Scope) -> &'static [Key] {
        match (self, scope) {
            (File::Startup, Scope::Server) => smtpd::KEYS,
            (File::Startup, Scope::Scripts) => smtpd::SCRIPT_KEYS,
            (File::Running, Scope::Server) => app::KEYS,
            (File::Running, Scope::Scripts) => app::SCRIPT_KEYS,
            (File::Policy, _) => policy::KEYS,
            (File::Suspend, _) => suspend::KEYS,
            (File::Delivery, _) => delivery::KEYS,
            (File::Client, _) => client::KEYS,
        }
    }

    /// The name under which it is installed.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            File::Startup => "smtpd.yaml",
            File::Running => "smtpd-app.yaml",
            File::Policy => "smtpd-policy.yaml",
            File::Suspend => "smtpd-suspend.yaml",
            File::Delivery => "smtpd-delivery.yaml",
            File::Client => "halonctl.yaml",
        }
    }

    /// The name that errors give it.
    pub(crate) fn source_name(self) -> &'static str {
        match self {
            File::Startup => "smtpd",
            File::Running => "smtpd_app",
            File::Policy => "smtpd_policy",
            File::Suspend => "smtpd_suspend",
            File::Delivery => "smtpd_delivery",
            File::Client => "halonctl",
        }
    }
}

impl Shape {
    /// The keys of the mapping, or of the mappings in the list, that this is.
    pub(crate) fn keys(self) -> &'static [Key] {
        match self {
            Shape::Object(keys) | Shape::OneOrObject(_, keys) => keys,
            Shape::List(item) | Shape::Map(item) => item.keys(),
            Shape::One(_) | Shape::OneOrMany(_) | Shape::Any => &[],
        }
    }
}

// The words of the tables.

const fn key(name: &'static str, shape: Shape, meaning: &'static str) -> Key {
    Key { name, shape, required: false, default: Default::None, since: "", meaning, status: Status::Used }
}

impl Key {
    const fn required(mut self) -> Key {
        self.required = true;
        self
    }

    const fn default(mut self, yaml: &'static str) -> Key {
        self.default = Default::Value(yaml);
        self
    }

    const fn derived(mut self, from: &'static str) -> Key {
        self.default = Default::Derived(from);
        self
    }

    const fn optional(mut self, without: &'static str) -> Key {
        self.default = Default::Optional(without);
        self
    }

    const fn since(mut self, release: &'static str) -> Key {
        self.since = release;
        self
    }

    const fn no_effect(mut self, why: &'static str) -> Key {
        self.status = Status::NoEffect { why, fine: &[] };
        self
    }

    const fn not_yet(mut self) -> Key {
        self.status = Status::NotYet { fine: &[] };
        self
    }

    /// Values about which there is nothing to say, because they ask for what is done anyway.
    const fn except(mut self, values: &'static [&'static str]) -> Key {
        self.status = match self.status {
            Status::Used => Status::Used,
            Status::NoEffect { why, .. } => Status::NoEffect { why, fine: values },
            Status::NotYet { .. } => Status::NotYet { fine: values },
        };
        self
    }
}

const TEXT: Shape = Shape::One(Type::Text);
const BOOL: Shape = Shape::One(Type::Bool);
const TIME: Shape = Shape::One(Type::Time { min_s: 0 });
const TIME_FROM_1_S: Shape = Shape::One(Type::Time { min_s: 1 });
const SIZE: Shape = Shape::One(Type::Size);
const OCTAL: Shape = Shape::One(Type::Octal);
const ID: Shape = Shape::One(Type::Id);
const IP: Shape = Shape::One(Type::Ip);
const HOST_NAME: Shape = Shape::One(Type::HostName);
const HOST: Shape = Shape::One(Type::Host);
const PATH: Shape = Shape::One(Type::Path);
const PORT: Shape = Shape::One(Type::Integer { min: 1, max: 65535 });
/// A number that may be 0.
const COUNT: Shape = Shape::One(Type::Integer { min: 0, max: MAX_COUNT });
/// A number from 1.
const POSITIVE: Shape = Shape::One(Type::Integer { min: 1, max: MAX_COUNT });
const MAX_COUNT: u64 = u32::MAX as u64;

const fn choice(values: &'static [&'static str]) -> Shape {
    Shape::One(Type::Choice(values))
}

const fn matches(field: Field) -> Shape {
    Shape::OneOrMany(Type::Match { field, lists: true })
}

const VERSION: Key =
    key("version", TEXT, "Version of the file, `major.minor` in quotes; it selects the behaviour").required();

/// What rules can match (1.8).
const FIELDS: [Key; 8] = [
    key("tenantid", matches(Field::TenantId), "Match on the tenant"),
    key("jobid", matches(Field::JobId), "Match on the job"),
    key("transportid", matches(Field::TransportId), "Match on the transport"),
    key("localip", matches(Field::LocalIp), "Match on the source address"),
    key("grouping", matches(Field::Grouping), "Match on the group of destinations"),
    key("remoteip", matches(Field::RemoteIp), "Match on the remote address"),
    key("remotemx", matches(Field::RemoteMx), "Match on the chosen MX"),
    key("recipientdomain", matches(Field::RecipientDomain), "Match on the recipient's domain"),
];

/// [`FIELDS`], and these.
const fn and_fields<const N: usize>(others: &[Key]) -> [Key; N] {
    assert!(N == FIELDS.len() + others.len());
    let mut all = [FIELDS[0]; N];
    let mut index = 1;
    while index < N {
        all[index] = if index < FIELDS.len() { FIELDS[index] } else { others[index - FIELDS.len()] };
        index += 1;
    }
    all
}

/// `{path}` or `{data}`.
const PEM: Shape =
    Shape::Object(&[key("path", PATH, "PEM file"), key("data", TEXT, "PEM text; excludes `path`")]);

const PROTOCOLS: &str =
    "Versions: a list of names, where `!` takes one away; versions before TLS 1.2 are never spoken";
const CIPHERS: &str = "Cipher suites of TLS 1.2 as OpenSSL writes them; those of TLS 1.3 change only where the list names some of them";
const THREADS: &str = "one shard per CPU serves everything; see environment.shards";
