//! One question in flight over all shards.
//!
//! A question belongs to a shard by its hash. Others ask that shard for it by message, and keep what they are told in a
//! small cache of their own for as long as it is good. The owner says at once that it has taken a question on; when it
//! does not (it is stuck, starts, or has ended), or the answer does not come, the shard that wants to know asks the name
//! servers itself. So a question may be in flight twice, but nobody waits for a shard that does not run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::sync::{Receiver, Sender, oneshot};
use engine::task::Class;
use net::dns::{Cache, CacheCounts, Failure, Question, Resolved};

use super::core::Pending;
use super::{Resolver, now_ms};

/// How long an owner may take to say that it has a question. A shard's turn takes milliseconds.
const TAKEN_WITHIN: Duration = Duration::from_millis(250);

/// Beyond the patience of a question: the way between shards.
const MARGIN: Duration = Duration::from_secs(1);

/// Pause before an answer is sent again to a shard whose ring is full, and how often that is done.
const RING_PAUSE: Duration = Duration::from_millis(10);
const RING_TRIES: u32 = 100;

/// Answers of other shards that are kept here, at about 250 bytes each.
const NEAR_ENTRIES_MAX: usize = 1_000;

/// What this shard has asked others for.
#[derive(Debug)]
pub(super) struct Elsewhere {
    asked: RefCell<BTreeMap<Question, Asked>>,
    near: RefCell<Cache>,
}

/// A question that another shard was asked for.
#[derive(Debug, Default)]
struct Asked {
    waiting: Vec<Sender<Resolved>>,
    /// Told whether the owner has taken it on; dropped with the answer.
    taken: Option<Sender<bool>>,
    /// Dropped with the answer.
    _open: Option<Sender<()>>,
}

/// What an owner says about a question.
enum Word {
    /// It has taken it on.
    Taken,
    Answer(Resolved),
    /// It cannot say: it has no resolver.
    Not,
}

impl Elsewhere {
    /// Entries of its cache, and what that has done.
    pub(super) fn near_counts(&self) -> (usize, CacheCounts) {
        let near = self.near.borrow();
        (near.len(), near.counts())
    }

    pub(super) fn new(cache_entries: usize) -> Elsewhere {
        Elsewhere { asked: RefCell::default(), near: RefCell::new(near(cache_entries)) }
    }

    /// Forgets the answers of others.
    pub(super) fn reset(&self, cache_entries: usize) {
        self.near.replace(near(cache_entries));
    }
}

fn near(cache_entries: usize) -> Cache {
    Cache::new(cache_entries.min(NEAR_ENTRIES_MAX), engine::rng::u64())
}

impl Resolver {
    /// The shard that a question belongs to.
    pub(super) fn owner(&self, question: &Question) -> ShardId {
        let shards = u64::from(engine::boot::shards()).max(1);
        ShardId(u16::try_from(question.keyed_hash(self.key) % shards).expect("shards are counted in 16 bits"))
    }

    /// Asks the owner of a question for it.
    pub(super) fn ask_owner(self: &Rc<Self>, owner: ShardId, question: &Question) -> Pending {
        if let Some(known) = self.elsewhere.near.borrow_mut().get(question, now_ms()) {
            return Pending::Known(known);
        }
        let (sender, receiver) = oneshot();
        let mut asked = self.elsewhere.asked.borrow_mut();
        if let Some(asked) = asked.get_mut(question) {
            asked.waiting.push(sender);
            return Pending::Wait(receiver);
        }
        if asked.len() >= net::limits::DNS_WAITING_MAX {
            return Pending::Known(Resolved::failed(Failure::Overloaded));
        }
        let (taken, is_taken) = oneshot();
        let (open, is_answered) = oneshot::<()>();
        let entry = Asked { waiting: vec![sender], taken: Some(taken), _open: Some(open) };
        asked.insert(question.clone(), entry);
        drop(asked);
        let here = engine::boot::current();
        let wanted = question.clone();
        let sent = engine::mesh::send(owner, move || answer_for(here, wanted));
        let resolver = Rc::clone(self);
        let question = question.clone();
        engine::task::spawn(Class::Interactive, async move {
            let answered = sent.is_ok() && resolver.owner_answers(is_taken, is_answered).await;
            if !answered {
                resolver.ask_here_instead(question).await;
            }
        });
        Pending::Wait(receiver)
    }

    /// Waits for an owner; false when it is time to go without it. That either receiver gets nothing means that the answer
    /// has come.
    async fn owner_answers(&self, is_taken: Receiver<bool>, is_answered: Receiver<()>) -> bool {
        match engine::time::timeout(TAKEN_WITHIN, is_taken).await {
            Ok(None) => true,
            Ok(Some(true)) => {
                let patience = self.core().await.patience() + MARGIN;
                engine::time::timeout(patience, is_answered).await.is_ok()
            }
            Ok(Some(false)) | Err(engine::time::Elapsed) => false,
        }
    }

    async fn ask_here_instead(&self, question: Question) {
        let core = self.core().await;
        let pending = core.ask(&question);
        core.pump();
        let resolved = pending.answer().await;
        self.settle(&question, &resolved);
    }

    /// Hands out an answer to those who wait for it here.
    fn settle(&self, question: &Question, resolved: &Resolved) {
        self.elsewhere.near.borrow_mut().insert(question.clone(), resolved, now_ms());
        let asked = self.elsewhere.asked.borrow_mut().remove(question);
        for sender in asked.map(|asked| asked.waiting).unwrap_or_default() {
            // Who has gone meanwhile needs no answer.
            let _ = sender.send(resolved.clone());
        }
    }

    fn hear(&self, question: &Question, word: Word) {
        let mut asked = self.elsewhere.asked.borrow_mut();
        match (word, asked.get_mut(question)) {
            (Word::Answer(resolved), _) => {
                drop(asked);
                self.settle(question, &resolved);
            }
            (word, Some(asked)) => {
                if let Some(taken) = asked.taken.take() {
                    let _ = taken.send(matches!(word, Word::Taken));
                }
            }
            (_, None) => {}
        }
    }
}

/// On the owner: a shard wants to know.
fn answer_for(shard: ShardId, question: Question) {
    let Some(core) = Resolver::here().and_then(|resolver| resolver.core_now()) else {
        return say(shard, &question, Word::Not);
    };
    match core.ask_for(shard, &question) {
        Some(resolved) => tell(shard, &question, &resolved),
        None => say(shard, &question, Word::Taken),
    }
    core.pump();
}

/// Gives another shard an answer that it waits for.
pub(super) fn tell(shard: ShardId, question: &Question, resolved: &Resolved) {
    if engine::mesh::can_send(shard) {
        return say(shard, question, Word::Answer(resolved.clone()));
    }
    let (question, resolved) = (question.clone(), resolved.clone());
    engine::task::spawn(Class::Interactive, async move {
        for _ in 0..RING_TRIES {
            engine::time::sleep(RING_PAUSE).await;
            if engine::mesh::can_send(shard) {
                return say(shard, &question, Word::Answer(resolved));
            }
        }
    });
}

/// What does not arrive is made up for by the other shard's patience.
fn say(shard: ShardId, question: &Question, word: Word) {
    let question = question.clone();
    let _ = engine::mesh::send(shard, move || {
        if let Some(resolver) = Resolver::here() {
            resolver.hear(&question, word);
        }
    });
}

/// Name servers answer again.
pub(super) fn tell_all_of_recovery() {
    for number in 0..engine::boot::shards() {
        // A shard that does not hear of it finds out by itself.
        let _ = engine::mesh::send(ShardId(number), || {
            if let Some(resolver) = Resolver::here() {
                resolver.elsewhere.near.borrow_mut().forget_failures();
                if let Some(core) = resolver.core_now() {
                    core.forget_failures();
                }
                resolver.recovered.notify_all();
            }
        });
    }
}
