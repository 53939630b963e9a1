//! The engine's clock, as the TLS library wants it: certificates expire by it, in the simulator too.

use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

#[derive(Debug)]
pub(crate) struct EngineClock;

impl TimeProvider for EngineClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(now())
    }
}

pub(crate) fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_micros(engine::time::wall_us()))
}
