//! The live stage, and its scripts that stand at breakpoints (reference: cli-and-operations 6.6).

use std::rc::Rc;

use control::Command;
use control::command_line::CommandLine as _;
use control::smtpd::{
    ConfigGreenDeployRequest, ConfigGreenStatusResponse, HslBreakPointRequest, HslBreakPointResponse,
};
use hostcalls::debugger::{ABORTED, NO_BREAKPOINT, NoBreakPoint, response};

use super::client::{Client, Meanwhile};
use crate::limits;
use crate::program::{Control, Wanted};
use crate::stage::{Conditions, End, Live, Watching};

const NO_STAGE: &str = "there is no live stage";

/// Starts a stage.
///
/// # Errors
/// One runs already, or what is wrong with what was asked for: a line for each problem.
pub(super) async fn start(client: &Client, request: ConfigGreenDeployRequest) -> Result<Vec<u8>, String> {
    let control = &client.control;
    let line = request.command_line();
    let ConfigGreenDeployRequest { id, config, conditions, connectionbound, file, dryrun } = request;
    let is_name = |text: &str| text.len() <= limits::STAGE_NAME_BYTES && !text.contains(char::is_control);
    if id.is_empty() || !is_name(&id) || !is_name(&file) {
        let most = limits::STAGE_NAME_BYTES;
        return Err(format!("id: a name of at most {most} bytes is needed, without control characters"));
    }
    if config.len() > limits::CONFIG_FILE_BYTES {
        return Err(format!("config: it has more than {} bytes", limits::CONFIG_FILE_BYTES));
    }
    let servers: Vec<&str> =
        control.program.startup.servers.iter().map(|server| server.id.as_str()).collect();
    let conditions = Conditions::read(&conditions.unwrap_or_default(), &servers)?;
    let file = if file.is_empty() { "livestage" } else { &file };
    let bound_to = connectionbound.then(|| client.number());
    let wanted = Wanted { id: &id, file, text: &config, conditions, bound_to };
    if dryrun {
        return control.try_stage(&wanted).await.map(|()| Vec::new());
    }
    let live = control.start_stage(wanted).await?;
    if connectionbound {
        client.watching.replace(Some(Watching::begin(&live)));
    }
    client.log_change(format_args!("{line}: started"));
    Ok(Vec::new())
}

/// How it is doing; an empty id: there is none.
pub(super) fn status(control: &Control) -> ConfigGreenStatusResponse {
    let Some(live) = control.deck.live() else { return ConfigGreenStatusResponse::default() };
    ConfigGreenStatusResponse {
        id: live.stage.id.to_string(),
        connections: live.stage.taken(),
        elapsed: live.elapsed().as_secs_f64(),
        time: live.stage.conditions().time.map(|time| time.as_secs_f64()),
    }
}

/// Ends it.
///
/// # Errors
/// There is none.
pub(super) async fn cancel(client: &Client) -> Result<Vec<u8>, String> {
    let live = client.control.deck.live().ok_or(NO_STAGE)?;
    client.log_change(format_args!("config livestage cancel: {}", live.stage.id));
    client.control.end_stage(live.stage.number, End::Cancelled).await;
    Ok(Vec::new())
}

/// The script that stands longest at a breakpoint, if one does.
///
/// # Errors
/// None does; or the stage has ended, or there is none.
pub(super) fn poll(client: &Client, request: &HslBreakPointRequest) -> Result<HslBreakPointResponse, String> {
    let live = watched(client)?;
    let is_meant = request.id.is_empty() || request.id == *live.stage.id;
    let stop = if is_meant { live.desk.first() } else { None };
    stop.map(response).ok_or_else(|| NO_BREAKPOINT.to_owned())
}

/// The same; waits for one. A client that asks for the end of the stage meanwhile waits no more.
///
/// # Errors
/// The stage has ended, or there is none; or the client has gone.
pub(super) async fn wait(client: &Client) -> Result<HslBreakPointResponse, String> {
    let live = watched(client)?;
    loop {
        let sent = client.send_printed().await;
        if sent.is_err() || live.desk.is_closed() || client.asks_next(Command::StageCancel) {
            return Err(ABORTED.to_owned());
        }
        if let Some(stop) = live.desk.first() {
            return Ok(response(stop));
        }
        match client.meanwhile().await {
            Ok(Meanwhile::Changed | Meanwhile::More) => {}
            Ok(Meanwhile::Ended) | Err(_) => return Err(ABORTED.to_owned()),
        }
    }
}

/// Lets the script go on that was shown.
///
/// # Errors
/// None was; or the stage has ended, or there is none.
pub(super) fn go_on(client: &Client) -> Result<Vec<u8>, String> {
    let live = watched(client)?;
    live.desk.go_on().map_err(|NoBreakPoint| NO_BREAKPOINT.to_owned())?;
    Ok(Vec::new())
}

/// The stage that a client looks at; from now on, it does.
fn watched(client: &Client) -> Result<Rc<Live>, String> {
    let mut watching = client.watching.borrow_mut();
    if let Some(known) = watching.as_ref().map(|watching| Rc::clone(watching.live())) {
        if known.desk.is_closed() {
            *watching = None;
            return Err(ABORTED.to_owned());
        }
        return Ok(known);
    }
    let live = client.control.deck.live().ok_or(NO_STAGE)?;
    *watching = Some(Watching::begin(&live));
    Ok(live)
}
