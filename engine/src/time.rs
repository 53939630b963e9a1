//! Clock and timers.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::shard;
use crate::wheel::TimerId;

/// Timers fire on whole milliseconds: never early, and at most this late.
pub(crate) const TICK_NS: u64 = 1_000_000;

/// A point on the monotonic clock of the engine (nanoseconds since it started).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

impl std::ops::Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl std::ops::Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The monotonic clock, as of this loop turn.
pub fn now() -> Instant {
    shard::with(|shard| shard.now())
}

/// The monotonic clock, read afresh: for measuring inside one turn.
pub fn now_precise() -> Instant {
    shard::with(|shard| shard.driver.now())
}

/// Microseconds since the Unix epoch, as of this loop turn.
pub fn wall_us() -> u64 {
    shard::with(|shard| shard.wall_us())
}

/// Milliseconds since the Unix epoch, as of this loop turn.
pub fn wall_ms() -> u64 {
    wall_us() / 1000
}

/// Milliseconds since the Unix epoch as the wall clock counted them when the shard came to be: a step of the wall clock
/// (somebody sets it, or a time service corrects it) does not move this one. For ages and for when something is due.
pub fn steady_ms() -> u64 {
    shard::with(|shard| shard.steady_us()) / 1000
}

/// A time of [`steady_ms`] as the wall clock would have it now: for people.
pub fn steady_to_wall_ms(steady: u64) -> u64 {
    (steady + wall_ms()).saturating_sub(steady_ms())
}

/// Waits for `duration`.
pub async fn sleep(duration: Duration) {
    sleep_until(now() + duration).await;
}

/// Waits until `deadline`.
pub async fn sleep_until(deadline: Instant) {
    let timer = Timer::new(deadline);
    std::future::poll_fn(|cx| timer.poll(cx)).await;
}

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the deadline passed")
    }
}

impl std::error::Error for Elapsed {}

/// Runs `future`, dropping it when `duration` has passed since the first poll.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { limit: Limit::After(duration), future: Some(future) }
}

/// What [`timeout`] gives. (An `async fn` would hold its argument twice: once as that, once where it is polled.)
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Timeout<F> {
    limit: Limit,
    /// Until it has ended, or the time has.
    future: Option<F>,
}

#[derive(Debug)]
enum Limit {
    /// Not polled yet.
    After(Duration),
    At(Timer),
}

impl Limit {
    fn timer(&mut self) -> &Timer {
        if let Limit::After(duration) = *self {
            *self = Limit::At(Timer::new(now() + duration));
        }
        match self {
            Limit::At(timer) => timer,
            Limit::After(_) => unreachable!("it was replaced above"),
        }
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `future` is pinned with all of this and never moved out of it: it is polled and dropped in its place.
        // The rest is never pinned, and nothing here is `Unpin` unless `F` is.
        let (timer, mut future) = unsafe {
            let this = self.get_unchecked_mut();
            (this.limit.timer(), Pin::new_unchecked(&mut this.future))
        };
        let running = future.as_mut().as_pin_mut().expect("not polled after its end");
        // The future goes first: when it is ready at once, as often, no timer is armed.
        let ended = match running.poll(cx) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => match timer.poll(cx) {
                Poll::Ready(()) => Err(Elapsed),
                Poll::Pending => return Poll::Pending,
            },
        };
        future.set(None);
        Poll::Ready(ended)
    }
}

/// A place in the wheel, taken at the first poll that has to wait.
#[derive(Debug)]
struct Timer {
    deadline: Instant,
    armed: Cell<Option<TimerId>>,
}

impl Timer {
    fn new(deadline: Instant) -> Self {
        Timer { deadline, armed: Cell::new(None) }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        shard::with(|shard| {
            let mut wheel = shard.wheel.borrow_mut();
            match self.armed.get() {
                None if self.deadline <= shard.now() => return Poll::Ready(()),
                None => {
                    let tick = self.deadline.0.div_ceil(TICK_NS);
                    self.armed.set(Some(wheel.arm(tick, cx.waker().clone())));
                }
                Some(timer) if wheel.has_fired(timer) => return Poll::Ready(()),
                Some(timer) => {
                    let old = wheel.set_waker(timer, cx.waker());
                    drop(wheel);
                    drop(old);
                }
            }
            Poll::Pending
        })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(timer) = self.armed.get() {
            // Without a shard the wheel is gone, too.
            let waker = shard::try_with(|shard| shard.wheel.borrow_mut().release(timer));
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests;
