//! Requests that change something, as the command line of `halonctl` that makes them: what the log says of a change.
//!
//! ```
//! use control::command_line::CommandLine as _;
//! use control::smtpd::{Fields8, SuspendAddRequest};
//!
//! let fields = Fields8 { recipientdomain: Some("*.a.example".to_owned()), ..Fields8::default() };
//! let request = SuspendAddRequest { fields: Some(fields), ttl: 60.0, ..SuspendAddRequest::default() };
//! assert_eq!(request.command_line(), "queue suspend add --recipientdomain '*.a.example' --ttl 60");
//! ```
//!
//! What only the protocol can say stands in parentheses behind the value it is about: `--jobid 'x(not)'`. Control characters
//! are escaped, long values and long lines are cut ([`limits`](crate::limits)).

mod rules;
mod selectors;

use std::fmt::Display;

use crate::limits::{COMMAND_LINE_BYTES, COMMAND_LINE_VALUE_BYTES};
use crate::smtpd::queue_import_request::Source;
use crate::smtpd::queue_update_request::Action;
use crate::smtpd::{
    ConfigGreenDeployRequest, HslCacheClearRequest, HslMemoryDeleteRequest, HslMemoryStoreRequest,
    PluginCommandRequest, QueueImportRequest, QueueProperties, QueueUnloadRequest, QueueUpdateRequest,
    TraceRequest,
};

pub use rules::{condition, suspend};

/// A request that can be said as a command line.
pub trait CommandLine {
    /// The command line, without the program's name.
    fn command_line(&self) -> String;
}

/// A line that is put together; what does not fit is counted.
#[derive(Debug)]
struct Line {
    text: String,
    left_out: usize,
}

impl Line {
    fn new(command: &str) -> Line {
        Line { text: command.to_owned(), left_out: 0 }
    }

    /// An option with a value.
    fn option(&mut self, name: &str, value: impl Display) {
        let value = word(&value.to_string());
        self.add(&format!("--{name} {value}"));
    }

    /// The same where there is a value.
    fn given(&mut self, name: &str, value: Option<&(impl Display + ?Sized)>) {
        if let Some(value) = value {
            self.option(name, value);
        }
    }

    /// The same for each of some values.
    fn each<T: Display>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.option(name, value));
    }

    /// An option without a value, where it was given.
    fn flag(&mut self, name: &str, given: bool) {
        if given {
            self.add(&format!("--{name}"));
        }
    }

    /// What comes without a dash.
    fn operand(&mut self, value: &str) {
        self.add(&word(value));
    }

    fn add(&mut self, part: &str) {
        if self.left_out > 0 || self.text.len() + part.len() >= COMMAND_LINE_BYTES {
            self.left_out += 1;
            return;
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(part);
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            self.text.push_str(&format!(" (and {} more)", self.left_out));
        }
        self.text
    }
}

/// A value as a shell takes it.
fn word(value: &str) -> String {
    let mut short = String::new();
    for c in value.chars() {
        if short.len() >= COMMAND_LINE_VALUE_BYTES {
            short.push_str("...");
            break;
        }
        match c {
            c if c.is_control() => short.extend(c.escape_default()),
            c => short.push(c),
        }
    }
    let is_plain = |c: char| c.is_alphanumeric() || "@%_-+=:,./".contains(c);
    match !short.is_empty() && short.chars().all(is_plain) {
        true => short,
        false => format!("'{}'", short.replace('\'', r"'\''")),
    }
}

impl CommandLine for QueueUpdateRequest {
    /// The selectors come last: they are what may have to be cut.
    fn command_line(&self) -> String {
        let mut line = Line::new("queue update");
        match &self.action {
            None => {}
            Some(Action::Active(active)) => match active.delay {
                None => line.flag("active", true),
                Some(delay) => line.option("defer", delay),
            },
            Some(Action::Hold(_)) => line.flag("hold", true),
            Some(Action::Delete(_)) => line.flag("delete", true),
            Some(Action::Bounce(bounce)) => {
                line.flag("bounce", true);
                line.given("reason", bounce.reason.as_deref());
            }
        }
        if let Some(properties) = &self.properties {
            line.properties(properties);
        }
        line.given("limit", Some(&self.limit).filter(|limit| **limit > 0));
        line.conditions(self.conditions.as_ref());
        line.finish()
    }
}

impl Line {
    fn properties(&mut self, properties: &QueueProperties) {
        let QueueProperties { transportid, jobid, tenantid, priority, retry, metadata, metadatadelete } =
            properties;
        self.given("set-transportid", transportid.as_deref());
        self.given("set-jobid", jobid.as_deref());
        self.given("set-tenantid", tenantid.as_deref());
        self.given("set-priority", priority.as_ref());
        self.given("set-retrycount", retry.as_ref());
        self.each("set-metadata", metadata.iter().map(|(key, value)| format!("{key}={value}")));
        self.each("unset-metadata", metadatadelete);
    }
}

impl CommandLine for QueueUnloadRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("queue unload");
        line.given("path", self.path.as_deref());
        line.conditions(self.conditions.as_ref());
        line.finish()
    }
}

impl CommandLine for QueueImportRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("queue load");
        match &self.source {
            Some(Source::Path(path)) => {
                line.operand(path);
                line.flag("keep", !self.remove);
            }
            Some(Source::Data(data)) => line.add(&format!("({} bytes)", data.len())),
            None => {}
        }
        line.finish()
    }
}

impl CommandLine for ConfigGreenDeployRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("config livestage start");
        line.option("id", &self.id);
        line.given("file", Some(&self.file).filter(|file| !file.is_empty()));
        if let Some(conditions) = &self.conditions {
            line.given("probability", conditions.probability.as_ref());
            line.given("time", conditions.time.as_ref());
            line.given("count", conditions.count.as_ref());
            line.each("remoteip", &conditions.remoteips);
            line.each("serverid", &conditions.serverids);
        }
        if self.connectionbound {
            line.add("(until this client goes)");
        }
        line.finish()
    }
}

/// Without the value, which may be a secret.
impl CommandLine for HslMemoryStoreRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("hsl memory store");
        line.operand(&self.key);
        line.finish()
    }
}

impl CommandLine for HslMemoryDeleteRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("hsl memory delete");
        line.operand(&self.key);
        line.finish()
    }
}

impl CommandLine for HslCacheClearRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("hsl cache clear");
        line.given("namespace", self.namespace.as_deref());
        line.given("function", self.function.as_deref());
        line.finish()
    }
}

impl CommandLine for PluginCommandRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("plugin command");
        line.operand(&self.id);
        self.argv.iter().for_each(|argument| line.operand(argument));
        line.finish()
    }
}

impl CommandLine for TraceRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("trace");
        line.networks("remoteip", &self.remoteips);
        line.texts("recipientdomain", &self.recipientdomains);
        line.texts("serverid", &self.serverids);
        line.flag("incoming", self.incoming);
        line.flag("outgoing", self.outgoing);
        line.given("connections", Some(&self.connections).filter(|connections| **connections > 0));
        line.given("time", Some(&self.time).filter(|time| **time > 0.0));
        line.finish()
    }
}

#[cfg(test)]
mod tests;
