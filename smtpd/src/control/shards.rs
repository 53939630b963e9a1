//! Asks all shards at once. One that stands still is known by it within a second, and holds up nobody.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use control::smtpd::{Missing, missing::Reason};
use engine::boot::ShardId;
use engine::mesh;
use engine::task::{Class, spawn};
use engine::time::timeout;

use crate::limits;
use crate::program::Control;
use crate::shard::{Shard, Shell};

/// What a shard says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// This.
    Here(T),
    /// Nothing: it stands still.
    Stalled {
        /// How long already, in milliseconds.
        for_ms: u64,
        /// What it runs: hook, file and line where that is known.
        in_what: String,
    },
    /// Nothing: it has ended, or not started.
    Ended,
}

/// Runs `f` on every shard, as a task of its own, and gives the answers in the order of the shards. An answer may take as
/// long as it likes, as long as the shard moves.
pub async fn ask<T, F, Fut>(control: &Rc<Control>, f: F) -> Vec<Answer<T>>
where
    F: Fn(Rc<Shard>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let mut asked = Vec::new();
    for number in 0..control.program.shards {
        let (control, f) = (Rc::clone(control), f.clone());
        asked.push(spawn(Class::Interactive, async move { ask_one(&control, number, f).await }));
    }
    let mut answers = Vec::with_capacity(asked.len());
    for task in asked {
        answers.push(task.await.unwrap_or(Answer::Ended));
    }
    answers
}

/// The same for one shard.
pub async fn ask_one<T, F, Fut>(control: &Rc<Control>, number: u16, f: F) -> Answer<T>
where
    F: FnOnce(Rc<Shard>) -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let id = ShardId(number);
    let mut answer = pin!(mesh::call_task(id, move || async move {
        match Shell::here().shard() {
            Some(shard) => Some(f(shard).await),
            None => None,
        }
    }));
    loop {
        match timeout(limits::CONTROL_PATIENCE, answer.as_mut()).await {
            Ok(Ok(Some(answer))) => return Answer::Here(answer),
            Ok(Ok(None) | Err(_)) => return Answer::Ended,
            Err(engine::time::Elapsed) => {}
        }
        let moves = timeout(limits::CONTROL_PATIENCE, mesh::call(id, || ())).await;
        if moves.is_err() {
            return stalled(control, number);
        }
    }
}

fn stalled<T>(control: &Control, number: u16) -> Answer<T> {
    let stall = control.heartbeat.stall(number);
    let least_ms = u64::try_from(2 * limits::CONTROL_PATIENCE.as_millis()).unwrap_or(u64::MAX);
    Answer::Stalled {
        for_ms: stall.as_ref().map_or(least_ms, |stall| stall.for_ms),
        in_what: stall.and_then(|stall| stall.in_what).unwrap_or_default(),
    }
}

/// The answers that came, and the shards that lack one.
pub fn sort_out<T>(answers: Vec<Answer<T>>) -> (Vec<T>, Vec<Missing>) {
    let (mut here, mut missing) = (Vec::new(), Vec::new());
    for (shard, answer) in (0..).zip(answers) {
        match answer {
            Answer::Here(answer) => here.push(answer),
            Answer::Stalled { for_ms, in_what } => missing.push(Missing {
                shard,
                reason: Reason::Stalled.into(),
                stalledms: for_ms,
                r#where: in_what,
            }),
            Answer::Ended => {
                missing.push(Missing { shard, reason: Reason::Ended.into(), ..Missing::default() });
            }
        }
    }
    (here, missing)
}
