//! The options of `Queue`.

use hostcalls::mail::TransportNames;

use super::dsn::DsnOverrides;
use crate::decision::{Failure, Options};
use crate::limits;

/// How an item stays in the queue (reference: hooks 4.1.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Requeue {
    /// Until somebody releases it.
    pub hold: bool,
    /// Seconds until it is due; `None`: as the schedule of its transport says.
    pub delay_s: Option<f64>,
    /// For the log and for listings.
    pub reason: Option<String>,
    /// One more attempt counts as made.
    pub increment_retry: bool,
    /// Begin to count anew.
    pub reset_retry: bool,
    /// Another transport from now on.
    pub transport: Option<String>,
    /// Tell the sender of the delay now, or do not; `None`: as the schedule says.
    pub dsn_delayed: Option<bool>,
    /// How the sender is told.
    pub dsn: DsnOverrides,
}

impl Requeue {
    pub(super) fn read(options: &Options, transports: &TransportNames) -> Result<Requeue, Failure> {
        Ok(Requeue {
            hold: options.boolean("hold")?,
            delay_s: options.number("delay", 0.0, limits::MAX_DELAY_S)?,
            reason: options.reason()?,
            increment_retry: options.optional_boolean("increment_retry")?.unwrap_or(true),
            reset_retry: options.boolean("reset_retry")?,
            transport: transport(options, transports)?,
            dsn_delayed: options.optional_boolean("dsn_delayed")?,
            dsn: DsnOverrides::within(options, transports)?,
        })
    }

    /// What a predelivery script that fails means (reference: hooks 1.1).
    pub fn after_failure() -> Requeue {
        Requeue {
            hold: false,
            delay_s: Some(limits::DELAY_AFTER_FAILURE_S),
            reason: Some("the predelivery script failed".to_owned()),
            increment_retry: false,
            reset_retry: false,
            transport: None,
            dsn_delayed: None,
            dsn: DsnOverrides::default(),
        }
    }
}

/// The option `transportid`.
pub(super) fn transport(options: &Options, transports: &TransportNames) -> Result<Option<String>, Failure> {
    let name = options.string("transportid")?;
    match &name {
        Some(unknown) if !transports.contains(unknown) => {
            Err(Failure(format!("option \"transportid\": there is no transport \"{unknown}\"")))
        }
        _ => Ok(name),
    }
}
