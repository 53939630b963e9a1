//! Which function answers which command.

use control::command_line::CommandLine as _;
use control::framing::Request;
use control::{Command, Message, smtpd as proto};

use super::client::Client;
use super::{
    explain, files, groupby, list, policies, quota, resolver, scripts, stage, suspends, trace, transfer,
    update,
};
use crate::program::Reload;

/// The answer of a command, encoded.
///
/// # Errors
/// A text that a person can act on.
pub(super) async fn answer(client: &Client, request: Request) -> Result<Vec<u8>, String> {
    let Request { command, body } = request;
    let (control, body) = (&client.control, body.as_slice());
    match command {
        Command::QueueList => encoded(list::list(control, decoded(body)?).await?),
        Command::QueueGroupBy => encoded(groupby::group_by(control, decoded(body)?).await?),
        Command::QueueUpdate => encoded(update::update(client, decoded(body)?).await?),
        Command::QueueUnload => encoded(transfer::unload(client, decoded(body)?).await?),
        Command::QueueImport => encoded(transfer::import(client, decoded(body)?).await?),
        Command::QueueQuota => encoded(quota::quota(control, decoded(body)?).await?),
        Command::ConfigReload => files::reload(client, Reload::Running).await,
        Command::SuspendReload => files::reload(client, Reload::Suspends).await,
        Command::PolicyReload => files::reload(client, Reload::Policy).await,
        Command::DeliveryReload => files::reload(client, Reload::Delivery).await,
        Command::PolicyList => encoded(policies::list(control).await),
        Command::PolicyAdd => encoded(policies::add(client, decoded(body)?).await?),
        Command::PolicyUpdate => encoded(policies::update(client, decoded(body)?).await?),
        Command::PolicyDelete => encoded(policies::delete(client, decoded(body)?).await?),
        Command::PolicyRefill => encoded(policies::refill(client, decoded(body)?).await?),
        Command::QueueExplain => encoded(explain::explain(control, decoded(body)?).await?),
        Command::ResolverQuery => encoded(resolver::query(control, decoded(body)?).await?),
        Command::ResolverList => encoded(resolver::running(control).await),
        Command::ResolverQueue => encoded(resolver::waiting(control).await),
        Command::SuspendList => encoded(suspends::list(control, &decoded(body)?)),
        Command::SuspendAdd => encoded(suspends::add(client, decoded(body)?).await?),
        Command::SuspendUpdate => encoded(suspends::update(client, decoded(body)?).await?),
        Command::SuspendDelete => encoded(suspends::delete(client, decoded(body)?).await?),
        Command::MemoryFetch => encoded(scripts::fetch(decoded(body)?).await?),
        Command::MemoryStore => encoded(scripts::store(client, decoded(body)?).await?),
        Command::MemoryDelete => encoded(scripts::delete(client, decoded(body)?).await?),
        Command::MemoryList => encoded(scripts::keys(decoded(body)?).await?),
        Command::CacheList => encoded(scripts::caches().await?),
        Command::CacheClear => encoded(scripts::clear(client, decoded(body)?).await?),
        Command::ResolverClear => resolver::apply(client, resolver::Action::Clear).await,
        Command::ResolverReload => resolver::apply(client, resolver::Action::Reload).await,
        Command::ProcessStats => encoded(control.monitor.process_stats().await),
        Command::ShardStatus => encoded(control.monitor.shard_status().await),
        Command::Trace => encoded(trace::trace(client, decoded(body)?).await?),
        Command::ReloadCheck => encoded(files::check(client, decoded(body)?).await?),
        Command::Thaw => files::thaw(client).await,
        Command::Users => encoded(proto::UsersResponse::default()),
        Command::StageStart => stage::start(client, decoded(body)?).await,
        Command::StageStatus => encoded(stage::status(control)),
        Command::StageCancel => stage::cancel(client).await,
        Command::BreakPointPoll => encoded(stage::poll(client, &decoded(body)?)?),
        Command::BreakPointWait => encoded(stage::wait(client).await?),
        Command::BreakPointContinue => stage::go_on(client),
        Command::PluginCommand => {
            let request: proto::PluginCommandRequest = decoded(body)?;
            if request.id != "http-bulk" {
                return Err(format!(
                    "there is no plugin \"{}\" that takes commands; http-bulk does",
                    request.id
                ));
            }
            let output = hostcalls::bulk::command(&request.argv).await?;
            client.log_change(format_args!("{}: done", request.command_line()));
            encoded(proto::PluginCommandResponse { output: String::from_utf8_lossy(&output).into_owned() })
        }
    }
}

fn decoded<M: Message + Default>(body: &[u8]) -> Result<M, String> {
    M::decode(body).map_err(|error| format!("the request cannot be read: {error}"))
}

#[expect(clippy::unnecessary_wraps, reason = "it ends the arms of the table above")]
fn encoded(message: impl Message) -> Result<Vec<u8>, String> {
    Ok(message.encode_to_vec())
}
