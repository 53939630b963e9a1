//! Reloads, and letting a frozen server begin.

use control::smtpd::reload_check_request::File;
use control::smtpd::{ReloadCheckRequest, ReloadCheckResponse};

use super::client::Client;
use crate::program::Reload;

/// Reads files again.
///
/// # Errors
/// What is wrong with them, a line for each problem; what was in force stays.
pub(super) async fn reload(client: &Client, what: Reload) -> Result<Vec<u8>, String> {
    let reloaded = client.control.reload(what).await;
    let outcome = if reloaded.is_ok() { "done" } else { "refused" };
    client.log_change(format_args!("{}: {outcome}", command(what)));
    reloaded.map(|()| Vec::new())
}

/// Reads files, and says what would change.
///
/// # Errors
/// As [`reload`].
pub(super) async fn check(
    client: &Client,
    request: ReloadCheckRequest,
) -> Result<ReloadCheckResponse, String> {
    let what = match request.file() {
        File::Running => Reload::Running,
        File::Policy => Reload::Policy,
        File::Suspends => Reload::Suspends,
        File::Delivery => Reload::Delivery,
    };
    client.control.check_reload(what).await.map(|changes| ReloadCheckResponse { changes })
}

/// As it is typed.
fn command(what: Reload) -> &'static str {
    match what {
        Reload::All => "reload of all files",
        Reload::Running => "config reload",
        Reload::Policy => "queue policy reload",
        Reload::Suspends => "queue suspend reload",
        Reload::Delivery => "queue delivery reload",
    }
}

/// Lets a frozen server take and send mail.
///
/// # Errors
/// It is not frozen.
pub(super) async fn thaw(client: &Client) -> Result<Vec<u8>, String> {
    if !client.control.thaw().await {
        return Err("the server is not frozen".to_owned());
    }
    client.log_change(format_args!("shard thaw: done"));
    Ok(Vec::new())
}
