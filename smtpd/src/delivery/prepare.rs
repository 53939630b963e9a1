//! The hook predelivery: scripts decide about the recipients of an attempt before there is any look at DNS.
//!
//! An attempt goes on with those recipients that want the same; others go back to the front of their line, in companies
//! that want the same, and are not asked again. How many scripts run at once follows from the attempts that run at once.

use std::future::Future;
use std::rc::Rc;

use engine::task::Class;
use hooks::queued::{DsnOverrides, Predelivery, Requeue, Try};
use queue::{Attempt, Diagnosis, ItemKey, Recipient};
use spool::{Envelope, ReadError};
use uuid::Uuid;

use super::after::{self, Removal};
use super::errand::{Errand, Said};
use super::facts::AttemptFacts;
use super::remembered::{GivenBack, Memory, Ready};
use super::report::{self, Report, message_id};
use super::scripted::{self, Seen};
use super::transaction::unreadable;
use super::wishes::Wishes;
use crate::scripts::QueueHook;
use crate::shard::Shard;

/// What became of a recipient.
enum Prepared {
    /// It is attempted.
    Ready(Ready),
    /// It stays in the queue.
    Queue(Box<Requeue>),
    /// It goes.
    Remove(Box<Removal>),
}

/// Recipients that want the same.
struct Company {
    wishes: Rc<Wishes>,
    members: Vec<(Recipient, Said)>,
}

/// What is left to be carried out of an attempt once its scripts were asked. `None`: nothing; it has been dealt with.
pub(super) async fn prepare(shard: &Rc<Shard>, errand: Errand) -> Option<Errand> {
    if errand.prepared {
        return Some(errand);
    }
    let Some(hook) = shard.predelivery(&errand.attempt) else {
        return Some(Errand { prepared: true, ..errand });
    };
    let attempt = errand.attempt;
    let remembered: Vec<_> =
        attempt.recipients.iter().map(|recipient| shard.delivery.remembered.take(recipient.key)).collect();
    let is_ready = |memory: &Option<Memory>| matches!(memory, Some(Memory::Ready(_)));
    let envelope = if !hook.script().needs_envelope() || remembered.iter().all(is_ready) {
        None
    } else {
        match shard.store.envelope(message_id(attempt.message)).await {
            Ok(envelope) => Some(Rc::new(envelope)),
            Err(error) => {
                cannot_read(shard, attempt, error).await;
                return None;
            }
        }
    };
    let nobody = Attempt { recipients: Vec::new(), ..attempt.clone() };
    let mut decided = Vec::with_capacity(remembered.len());
    let mut running = Vec::new();
    for (recipient, remembered) in attempt.recipients.iter().zip(remembered) {
        let back = match remembered {
            Some(Memory::Ready(ready)) => {
                decided.push(Some(Prepared::Ready(ready)));
                continue;
            }
            Some(Memory::GivenBack(back)) => Some(back),
            None => None,
        };
        decided.push(None);
        running.push(ask(Rc::clone(shard), hook.clone(), envelope.clone(), alone(&nobody, recipient), back));
    }
    let mut answers = all(running).await.into_iter();
    let decided = decided.into_iter().map(|known| known.or_else(|| answers.next()));
    let decided: Vec<Prepared> = decided.flatten().collect();
    go_on(shard, attempt, decided).await
}

/// Scripts that wait do so beside each other.
async fn all<F>(mut futures: Vec<F>) -> Vec<Prepared>
where
    F: Future<Output = Prepared> + 'static,
{
    if futures.len() <= 1 {
        return match futures.pop() {
            Some(only) => vec![only.await],
            None => Vec::new(),
        };
    }
    let tasks: Vec<_> =
        futures.into_iter().map(|future| engine::task::spawn(Class::Interactive, future)).collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        // A task that was dropped is one of a shard that ends.
        answers.push(task.await.unwrap_or_else(|| Prepared::Queue(Box::new(Requeue::after_failure()))));
    }
    answers
}

/// The attempt as that of one recipient, for what outlives the borrow.
fn alone(attempt: &Attempt, recipient: &Recipient) -> Attempt {
    Attempt { recipients: vec![recipient.clone()], ..attempt.clone() }
}

async fn ask(
    shard: Rc<Shard>,
    hook: QueueHook,
    envelope: Option<Rc<Envelope>>,
    attempt: Attempt,
    back: Option<GivenBack>,
) -> Prepared {
    let Some(recipient) = attempt.recipients.first() else {
        return Prepared::Ready(Ready { wishes: Rc::default(), said: Said::default() });
    };
    let said_before = Said::default();
    let wishes_before = Wishes::default();
    let seen = Seen::new(&shard, envelope.as_deref(), &attempt, recipient, &wishes_before, &said_before);
    let mut item = seen.item();
    let returned = back.as_ref().and_then(|back| back.value.as_deref());
    let asked = hooks::queued::Before { retry: recipient.attempts, returned };
    let decision = item.before(hook.script(), asked, || seen.message()).await;
    scripted::keep_metadata(&shard, recipient, &item);
    let said = Said { readdressed: None, kept: item.into_kept(), returned: back.and_then(|back| back.value) };
    match decision {
        Predelivery::Try(wanted) => match wishes(&shard, &attempt, recipient, *wanted) {
            Ok((wishes, readdressed)) => {
                Prepared::Ready(Ready { wishes: Rc::new(wishes), said: Said { readdressed, ..said } })
            }
            Err(why) => {
                let about =
                    format!("{}:{}", Uuid::from_bytes(attempt.transaction), recipient.key.recipient + 1);
                hook.cannot(&about, &format!("Try(): {why}"));
                Prepared::Queue(Box::new(Requeue::after_failure()))
            }
        },
        Predelivery::Queue(requeue) => Prepared::Queue(requeue),
        Predelivery::Bounce(dsn) => {
            let reason = Diagnosis::new("a script refused to deliver it").with_enhanced(5, 7, 1).into();
            Prepared::Remove(Box::new(Removal::by_script(after::Action::Bounce, reason, *dsn, said)))
        }
        Predelivery::Delete(why) => {
            let reason = why.unwrap_or_else(|| "removed by a script".to_owned());
            let dsn = DsnOverrides::default();
            Prepared::Remove(Box::new(Removal::by_script(after::Action::Delete, reason.into(), dsn, said)))
        }
    }
}

/// What the script wants, once it is sure that it can be had.
fn wishes(
    shard: &Shard,
    attempt: &Attempt,
    recipient: &Recipient,
    wanted: Try,
) -> Result<(Wishes, Option<super::wishes::Readdressed>), String> {
    if wanted.is_plain() {
        return Ok(Default::default());
    }
    let (mut wishes, readdressed) = Wishes::read(wanted)?;
    let snapshot = shard.snapshot();
    let Some(route) = snapshot.routes.get(&*attempt.destination.transport) else {
        return Ok((wishes, readdressed));
    };
    let route = shard.delivery.route_with(&snapshot, route, &wishes.settings)?;
    // The line of a fixed next hop has no domain of its own, and any that it has gives way to the one of another recipient.
    if route.next_hop != config::NextHop::Mx {
        wishes.domain = None;
    } else if wishes.domain.is_none() && attempt.destination.domain.is_none() {
        wishes.domain = Some(recipient.domain.clone());
    }
    Ok((wishes, readdressed))
}

/// Carries out what was decided, but for the recipients that are to be tried together.
async fn go_on(shard: &Rc<Shard>, mut attempt: Attempt, decided: Vec<Prepared>) -> Option<Errand> {
    let mut companies: Vec<Company> = Vec::new();
    let mut removed = Vec::new();
    let recipients = std::mem::take(&mut attempt.recipients);
    for (recipient, prepared) in recipients.into_iter().zip(decided) {
        match prepared {
            Prepared::Ready(Ready { wishes, said }) => {
                match companies.iter_mut().find(|company| *company.wishes == *wishes) {
                    Some(company) => company.members.push((recipient, said)),
                    None => companies.push(Company { wishes, members: vec![(recipient, said)] }),
                }
            }
            Prepared::Queue(requeue) => {
                shard.queue.borrow_mut().withdraw(attempt.id, recipient.key);
                after::requeue_untried(shard, &attempt, &recipient, &requeue);
            }
            Prepared::Remove(removal) => {
                shard.queue.borrow_mut().withdraw(attempt.id, recipient.key);
                removed.push((recipient, removal));
            }
        }
    }
    for (recipient, removal) in removed {
        let alone = Attempt { recipients: vec![recipient], ..attempt.clone() };
        after::remove_in_hand(shard, alone, *removal).await;
    }
    // The largest company stays: fewer attempts.
    companies.sort_by_key(|company| std::cmp::Reverse(company.members.len()));
    let mut companies = companies.into_iter();
    let staying = companies.next();
    send_back(shard, &attempt, companies);
    match staying {
        Some(Company { wishes, members }) => {
            if let Some(job_id) = &wishes.job_id {
                attempt.job_id = Some(job_id.as_str().into());
            }
            let (recipients, said) = members.into_iter().unzip();
            Some(Errand {
                attempt: Attempt { recipients, ..attempt },
                wishes,
                said,
                prepared: true,
                matched: false,
            })
        }
        None => {
            shard.queue.borrow_mut().report(attempt.id, Vec::new(), engine::time::steady_ms());
            shard.store.release_body(message_id(attempt.message));
            shard.due.notify_one();
            None
        }
    }
}

/// Those that want something else than the ones who stay: back to the line, where they are not asked again.
fn send_back(shard: &Rc<Shard>, attempt: &Attempt, companies: impl Iterator<Item = Company>) {
    let mut back: Vec<(ItemKey, u16)> = Vec::new();
    for (number, Company { wishes, members }) in (1_u16..).zip(companies) {
        for (recipient, said) in members {
            back.push((recipient.key, number));
            let ready = Ready { wishes: Rc::clone(&wishes), said };
            shard.delivery.remembered.keep(recipient.key, Memory::Ready(ready));
        }
    }
    if !back.is_empty() {
        shard.queue.borrow_mut().send_back(attempt.id, &back);
        shard.due.notify_one();
    }
}

/// The scripts cannot be asked.
async fn cannot_read(shard: &Rc<Shard>, attempt: Attempt, error: ReadError) {
    let report = Report::for_all(unreadable(error));
    report::report(shard, Errand::fresh(attempt), report, AttemptFacts::default()).await;
    shard.due.notify_one();
}

/// What an attempt that did not count leaves for the next one; `back`: its script is asked again.
pub(super) fn remember(shard: &Shard, errand: &Errand, index: usize, back: Option<GivenBack>) {
    let Some(said) = errand.said(index) else { return };
    let Some(recipient) = errand.attempt.recipients.get(index) else { return };
    let memory = match back {
        Some(back) => Memory::GivenBack(back),
        None => Memory::Ready(Ready { wishes: Rc::clone(&errand.wishes), said: said.clone() }),
    };
    shard.delivery.remembered.keep(recipient.key, memory);
}
