//! A host of scripts where nothing happens by itself, for fuzz targets.
#![allow(unreachable_pub, dead_code)] // a module of several programs

use std::any::Any;
use std::hash::{DefaultHasher, Hasher};

use script::fault::Fault;
use script::host::{Host, PendingCall};
use script::native::{Surroundings, run_offloaded};
use script::std::regex::PatternCache;
use script::value::Value;

/// Calls that really run on the side of a script: some of them take a second on purpose.
const MAX_OFFLOADED: u32 = 4;
/// Of each line that a script prints, what is compared.
pub const KEPT_BYTES: usize = 4096;
/// Of all that a script prints, what is shown.
const SHOWN_BYTES: usize = 64 << 10;

/// What a script has printed.
#[derive(Debug, Default, PartialEq)]
pub struct Printed {
    lines: u64,
    hash: u64,
    start: String,
}

/// What a script that waits gets: what runs on the side does so here and now, and there is nothing else.
pub fn answer(call: PendingCall, number: u32) -> Result<Value, Fault> {
    match call {
        PendingCall::Offload { native, this, args } if number <= MAX_OFFLOADED => {
            let timezone = jiff::tz::TimeZone::UTC;
            let surroundings = Surroundings { now: NOW, seed: [7; 32], monotonic: || 0.0, timezone };
            let result = run_offloaded(native, this, args, surroundings)?;
            Ok(Value::from_frozen(&result))
        }
        PendingCall::Offload { native, .. } => Err(Fault::error(format!("{}() is busy", native.name))),
        PendingCall::Stop(_) => Ok(Value::None),
        PendingCall::Host(call) => Err(Fault::error(format!("{}() is not here", call.name))),
    }
}

const NOW: f64 = 1_700_000_000.25;

/// A host where nothing happens by itself.
#[derive(Default)]
pub struct Still {
    pub printed: Printed,
    drawn: u8,
    patterns: PatternCache,
}

impl Still {
    fn print(&mut self, text: &[u8]) {
        let printed = &mut self.printed;
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(printed.hash);
        hasher.write_usize(text.len());
        let kept = &text[..text.len().min(KEPT_BYTES)];
        hasher.write(kept);
        printed.hash = hasher.finish();
        printed.lines += 1;
        if printed.start.len() < SHOWN_BYTES {
            printed.start.push_str(&String::from_utf8_lossy(kept));
            printed.start.push('\n');
        }
    }
}

impl Host for Still {
    fn now(&self) -> f64 {
        NOW
    }
    fn monotonic(&self) -> f64 {
        1.0
    }
    fn uptime(&self) -> f64 {
        2.0
    }
    fn execution_time(&self) -> f64 {
        0.0
    }
    fn random(&mut self, out: &mut [u8]) {
        for byte in out {
            self.drawn = self.drawn.wrapping_mul(5).wrapping_add(3);
            *byte = self.drawn;
        }
    }
    fn echo(&mut self, text: &[u8]) {
        self.print(text);
    }
    fn syslog(&mut self, priority: u32, text: &[u8]) {
        self.print(&priority.to_le_bytes());
        self.print(text);
    }
    fn hostname(&self) -> String {
        "mx".to_owned()
    }
    fn timezone(&self) -> &jiff::tz::TimeZone {
        static UTC: jiff::tz::TimeZone = jiff::tz::TimeZone::UTC;
        &UTC
    }
    fn patterns(&mut self) -> &mut PatternCache {
        &mut self.patterns
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
