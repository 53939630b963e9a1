//! Reloads, and letting a frozen server begin.

use super::client::Client;
use crate::program::Reload;

/// Reads files again.
///
/// # Errors
/// What is wrong with them, a line for each problem; what was in force stays.
pub(super) async fn reload(client: &Client, what: Reload) -> Result<Vec<u8>, String> {
    let reloaded = client.control.reload(what).await;
    let outcome = if reloaded.is_ok() { "done" } else { "refused" };
    client.log_change(format_args!("{what}: {outcome}"));
    reloaded.map(|()| Vec::new())
}

/// Lets a frozen server take and send mail.
///
/// # Errors
/// It is not frozen.
pub(super) async fn thaw(client: &Client) -> Result<Vec<u8>, String> {
    if !client.control.thaw().await {
        return Err("the server is not frozen".to_owned());
    }
    client.log_change(format_args!("thaw"));
    Ok(Vec::new())
}
