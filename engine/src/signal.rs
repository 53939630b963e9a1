//! Signals as events, on the control thread.

/// Waits for the next of the signals named in [`crate::boot::Options::signals`]. One waiter at a time.
pub async fn next() -> i32 {
    todo!()
}
