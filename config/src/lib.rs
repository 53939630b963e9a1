//! YAML to typed configuration, with errors that point at the line.
//!
//! Owns the files of `smtpd`: which keys there are, what their values mean, and what is said about a wrong one. Pure
//! over text: nothing here reads a file, a clock or the environment; the caller passes what is needed.
//!
//! Principal types: [`Startup`] (`smtpd.yaml`: what cannot change while the process lives), [`Running`]
//! (`smtpd-app.yaml`: what a reload can change), [`Suspends`] (`smtpd-suspend.yaml`: what is not picked up from the
//! queue), [`Error`] (one problem in one place). [`load_startup_file`] and [`load_files`] read them in the order in which
//! they depend on each other.
//!
//! The keys are defined once, as the tables under `schema`: type, default, meaning, and whether this version does what
//! they say. Validation and [`reference()`] (`docs/reference/configuration.md`) come from them. A new key is a row
//! there, a field of the typed struct, and a line where the struct is built.
//!
//! ```
//! use config::{Options, Source, load_running, load_startup};
//!
//! let options = Options::default();
//! let text = "version: \"6.10\"\nservers: [{id: in, listeners: [{address: 127.0.0.1, port: 2525}]}]\n";
//! let startup = load_startup(&Source { name: "smtpd", text }, &options).expect("a good file").value;
//! assert_eq!(startup.servers[0].listeners[0].place, config::ListenPlace::Tcp { address: "127.0.0.1".parse().ok(), port: 2525 });
//!
//! let text = "version: \"6.10\"\nservers: [{id: in, transport: mxx}]\n";
//! let errors = load_running(&Source { name: "smtpd_app", text }, &startup, &options).expect_err("no such transport");
//! assert_eq!(
//!     errors[0].to_string(),
//!     "smtpd_app:2:31: servers[0].transport: unknown transport \"mxx\"; no transports are defined"
//! );
//! ```

mod changes;
mod check;
mod client;
mod connection;
mod control_socket;
mod cross_check;
mod delivery;
mod dsn;
mod error;
mod files;
mod limits;
mod listeners;
mod matching;
mod monitor;
mod pattern;
mod pki;
mod plugins;
mod policy;
mod prepare;
mod reference;
mod report;
mod running;
mod scalar;
mod schema;
mod scripting;
mod services;
mod session;
mod startup;
mod submission;
mod suspends;
mod tls;
mod transport;
mod tree;
mod version;
mod yaml;

pub use changes::{Change, ChangeKind, changes};
pub use client::{CONTROL_SOCKET, ControlSocket, ControlTls, load_client};
pub use connection::{MxFilter, MxPattern, SourceIp};
pub use control_socket::{ControlListener, ControlPath, ControlServerTls};
pub use delivery::{DeliveryCondition, DeliveryFile, DeliverySettings, load_delivery};
pub use dsn::{Dsn, DsnReturns, DsnTransport};
pub use error::{Env, Error, Loaded, Options, Scope, Source};
pub use fields::{Field, Property};
pub use files::{Read, Reloadable, load_files, load_startup_file};
pub use listeners::{ListenPlace, Listener};
pub use monitor::{CustomMetric, MaxMessages, MetricKind, Monitor, MonitorListener};
pub use pattern::{Lists, Pattern};
pub use pki::{Pem, Pki, PkiEntry};
pub use plugins::{
    BulkFormat, BulkQueue, ListFile, LogFile, PLUGINS, Plugins, RateClient, WarmUp, WarmUpAddress,
    WarmUpSchedule, WarmUpStep,
};
pub use policy::{Policies, Policy, PolicyCondition, PolicyRate, PolicyThen, load_policies};
pub use reference::reference;
pub use running::{
    Address, BareEol, DefaultGroup, Extensions, Grouping, Hooks, PoolPolicy, Queues, RcptHook, Resolver,
    Running, Server, load_running,
};
pub use scripting::{FileContent, HookScript, PHASES, ScriptSettings, Scripting, VirtualFile};
pub use services::{
    KafkaQueue, MariadbProfile, Named, PostgresqlProfile, Profiles, RedisKind, RedisProfile, ServiceTls,
    Services, SqliteProfile,
};
pub use session::{TransportLogin, TransportSession};
pub use startup::{
    Accounting, Corrupt, Driver, Environment, Facility, ListenServer, PrivDrop, ServerKind, Spool, Startup,
    UuidVersion, load_startup,
};
pub use suspends::{Suspend, Suspends, load_suspends};
pub use tls::{
    CipherList, ClientCertificates, Implicit, SendName, ServerTls, TlsMode, TlsProtocols, TlsVersions,
    TransportTls, VerifyTls,
};
pub use transport::{DeliveryTimeouts, NextHop, Retry, RetryInterval, Transport};
pub use version::Version;

/// The checks of the fuzz target name the crate as others do.
#[cfg(test)]
extern crate self as config;

#[cfg(test)]
mod tests;
