//! `resolver clear` and its like.

use super::client::Client;
use super::shards::{ask, sort_out};

/// What is done to each shard's resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Forgets all answers.
    Clear,
    /// Reads the system's resolver file again, where that says whom to ask.
    Reload,
}

/// On all shards.
///
/// # Errors
/// A shard does not answer; it does it when it moves again.
pub(super) async fn apply(client: &Client, action: Action) -> Result<Vec<u8>, String> {
    let answers = ask(&client.control, move |shard| {
        match action {
            Action::Clear => shard.resolver.clear(),
            Action::Reload => shard.resolver.reconfigure(&shard.snapshot().resolver),
        }
        std::future::ready(())
    });
    let (_, missing) = sort_out(answers.await);
    client.log_change(match action {
        Action::Clear => format_args!("resolver clear"),
        Action::Reload => format_args!("resolver reload"),
    });
    match missing.first() {
        None => Ok(Vec::new()),
        Some(missing) => {
            Err(format!("shard {} stands still, and does it when it moves again", missing.shard))
        }
    }
}
