//! The command that follows SMTP dialogues.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use control::Message;
use control::command_line::CommandLine as _;
use control::framing::Status;
use control::smtpd::trace_event::Kind;
use control::smtpd::{TraceEvent, TraceRequest, TraceResponse};
use engine::time::timeout;

use super::client::Client;
use crate::limits;
use crate::trace::Subscription;

/// Sends events until the client goes, the time is over, or as many connections as were asked for have ended.
pub(super) async fn trace(client: &Client, request: TraceRequest) -> Result<TraceResponse, String> {
    let subscription = Subscription::start(&request, client.control.program.shards)?;
    client.log_change(format_args!("{}: follows SMTP dialogues", request.command_line()));
    let longest = limits::TRACE_TIME;
    let time = match request.time {
        time if time > 0.0 && time < longest.as_secs_f64() => Duration::from_secs_f64(time),
        _ => longest,
    };
    // The client has gone, or had enough: either way it ends.
    let _ = timeout(time, follow(client, &subscription, request.connections)).await;
    Ok(TraceResponse { connections: subscription.connections(), lost: subscription.lost() })
}

async fn follow(client: &Client, subscription: &Subscription, connections: u32) {
    let mut ended = 0;
    let mut gone = pin!(client.gone());
    loop {
        let mut next = pin!(subscription.next());
        let event: Option<TraceEvent> = poll_fn(|cx| match next.as_mut().poll(cx) {
            Poll::Ready(event) => Poll::Ready(Some(event)),
            Poll::Pending => gone.as_mut().poll(cx).map(|()| None),
        })
        .await;
        let Some(event) = event else { return };
        if client.send(Status::Asynchronous, &event.encode_to_vec()).await.is_err() {
            return;
        }
        ended += u32::from(event.kind() == Kind::Close);
        if connections > 0 && ended >= connections {
            return;
        }
    }
}
