//! `sleep`.

use std::rc::Rc;
use std::time::Duration;

use script::host::HostCall;
use script::native::{Native, NativeRun};

use crate::arguments::Arguments;
use crate::library::{Family, HostFunction, HostFuture};
use crate::{Execution, limits, numbers};

const SLEEP: u16 = numbers::TIME;

pub(crate) static FAMILY: Family = Family {
    natives: &[Native {
        name: "sleep",
        params: "number seconds",
        doc: "Waits; other scripts run meanwhile. The seconds that it took.",
        min_args: 1,
        max_args: Some(1),
        run: NativeRun::Host(SLEEP),
    }],
    host: &[HostFunction { number: SLEEP, run: sleep }],
    ..Family::EMPTY
};

fn sleep(_: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let seconds = call.number(0)?;
        let start = engine::time::now_precise();
        // Not a number sleeps as long as 0.
        let seconds = seconds.clamp(0.0, limits::SLEEP.as_secs_f64());
        if seconds > 0.0 {
            engine::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        Ok((engine::time::now_precise() - start).as_secs_f64().into())
    })
}

/// Seconds of the system's clock that never jumps: a thread of the pool has none of the engine's.
pub(crate) fn monotonic_s() -> f64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0.0, |now| Duration::from(now).as_secs_f64())
}
