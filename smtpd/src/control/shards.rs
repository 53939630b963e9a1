//! Asks all shards at once. One that stands still is known by it within a second, and holds up nobody.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use control::smtpd::{Missing, missing::Reason};
use engine::boot::ShardId;
use engine::mesh;
use engine::task::{Class, spawn};
use engine::time::timeout;

use crate::limits;
use crate::program::Control;
use crate::shard::{Shard, Shell};
use crate::stats::heartbeat::{Heartbeat, Stall};

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

impl<T> Answer<T> {
    /// What it said, if it said something.
    pub fn here(self) -> Option<T> {
        match self {
            Answer::Here(answer) => Some(answer),
            Answer::Stalled { .. } | Answer::Ended => None,
        }
    }
}

/// How shards are asked.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Tells of those that stand still; on the control thread.
    heartbeat: Option<Rc<Heartbeat>>,
    /// How long an answer may take; `None`: as long as the shard moves.
    at_most: Option<Duration>,
    /// A shard that is known to stand still is not asked: its answer would come when nobody waits.
    moving_only: bool,
}

/// Runs `f` on every shard, as a task of its own, and gives the answers in the order of the shards. An answer may take as
/// long as it likes, as long as the shard moves. What a shard that stands still is asked to do, it does when it moves again.
pub async fn ask<T, F, Fut>(control: &Rc<Control>, f: F) -> Vec<Answer<T>>
where
    F: Fn(Rc<Shard>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    Asking::while_they_move(&control.heartbeat).all(f).await
}

/// The same for one shard.
pub async fn ask_one<T, F, Fut>(control: &Rc<Control>, number: u16, f: F) -> Answer<T>
where
    F: FnOnce(Rc<Shard>) -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    Asking::while_they_move(&control.heartbeat).one(number, f).await
}

impl Asking {
    fn while_they_move(heartbeat: &Rc<Heartbeat>) -> Asking {
        Asking { heartbeat: Some(Rc::clone(heartbeat)), at_most: None, moving_only: false }
    }

    /// For an answer within this time, from any thread.
    pub fn at_most(patience: Duration) -> Asking {
        Asking { heartbeat: None, at_most: Some(patience), moving_only: false }
    }

    /// Leaves out those that are known to stand still.
    pub fn moving_only(self, heartbeat: &Rc<Heartbeat>) -> Asking {
        Asking { heartbeat: Some(Rc::clone(heartbeat)), moving_only: true, ..self }
    }

    /// Runs `f` on every shard at once, as a task of its own; the answers in the order of the shards.
    pub async fn all<T, F, Fut>(&self, f: F) -> Vec<Answer<T>>
    where
        F: Fn(Rc<Shard>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let mut asked = Vec::new();
        for number in 0..engine::boot::shards() {
            let (asking, f) = (self.clone(), f.clone());
            asked.push(spawn(Class::Interactive, async move { asking.one(number, f).await }));
        }
        let mut answers = Vec::with_capacity(asked.len());
        for task in asked {
            answers.push(task.await.unwrap_or(Answer::Ended));
        }
        answers
    }

    /// The same on one shard.
    pub async fn one<T, F, Fut>(&self, number: u16, f: F) -> Answer<T>
    where
        F: FnOnce(Rc<Shard>) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        if self.moving_only && self.stall(number).is_some() {
            return self.stalled(number);
        }
        let id = ShardId(number);
        // What is asked for may go through a million items: behind mail that comes and goes.
        let mut answer = pin!(mesh::call_task(id, move || async move {
            let shard = Shell::here().shard()?;
            spawn(Class::Background, f(shard)).await
        }));
        loop {
            match timeout(self.at_most.unwrap_or(limits::CONTROL_PATIENCE), answer.as_mut()).await {
                Ok(Ok(Some(answer))) => return Answer::Here(answer),
                Ok(Ok(None) | Err(_)) => return Answer::Ended,
                Err(engine::time::Elapsed) => {}
            }
            let goes_on = self.at_most.is_none()
                && timeout(limits::CONTROL_PATIENCE, mesh::call(id, || ())).await.is_ok();
            if !goes_on {
                return self.stalled(number);
            }
        }
    }

    fn stall(&self, shard: u16) -> Option<Stall> {
        self.heartbeat.as_ref().and_then(|heartbeat| heartbeat.stall(shard))
    }

    fn stalled<T>(&self, shard: u16) -> Answer<T> {
        let least = self.at_most.unwrap_or(2 * limits::CONTROL_PATIENCE);
        let stall = self.stall(shard);
        Answer::Stalled {
            for_ms: stall
                .as_ref()
                .map_or(u64::try_from(least.as_millis()).unwrap_or(u64::MAX), |stall| stall.for_ms),
            // What it is stuck in is there to be seen before it is sure that it is.
            in_what: self.heartbeat.as_ref().and_then(|heartbeat| heartbeat.runs(shard)).unwrap_or_default(),
        }
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

/// What a log line says of the shards that an answer lacks; empty when it lacks none.
pub fn without(missing: &[Missing]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    let numbers: Vec<String> = missing.iter().map(|missing| missing.shard.to_string()).collect();
    format!(", without shard {}", numbers.join(", "))
}
