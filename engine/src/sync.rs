//! Waiting within one shard. Nothing here is `Send`.

/// The sending half of a [`oneshot`].
#[derive(Debug)]
pub struct Sender<T>(std::marker::PhantomData<T>);
/// The receiving half: a future of `Some(value)`, or `None` when the sender is gone.
#[derive(Debug)]
pub struct Receiver<T>(std::marker::PhantomData<T>);

/// One value, once.
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    todo!()
}

impl<T> Sender<T> {
    /// Delivers; gives the value back when the receiver is gone.
    pub fn send(self, value: T) -> Result<(), T> {
        todo!()
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;
    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<T>> {
        todo!()
    }
}

/// Wakes tasks that wait for a change.
#[derive(Debug, Default)]
pub struct Notify;

impl Notify {
    /// A new one.
    pub fn new() -> Self {
        todo!()
    }
    /// Waits for the next `notify_*`; a `notify_one` with nobody waiting is kept for the next waiter.
    pub async fn notified(&self) {
        todo!()
    }
    /// Wakes the longest waiter.
    pub fn notify_one(&self) {
        todo!()
    }
    /// Wakes all present waiters.
    pub fn notify_all(&self) {
        todo!()
    }
}

/// Counts permits; first come, first served.
#[derive(Debug, Clone)]
pub struct Semaphore;

/// One permit of a [`Semaphore`]; given back on drop.
#[derive(Debug)]
pub struct Permit;

impl Semaphore {
    /// With `permits` permits.
    pub fn new(permits: usize) -> Self {
        todo!()
    }
    /// Waits for a permit.
    pub async fn acquire(&self) -> Permit {
        todo!()
    }
    /// A permit, if one is free.
    pub fn try_acquire(&self) -> Option<Permit> {
        todo!()
    }
}
