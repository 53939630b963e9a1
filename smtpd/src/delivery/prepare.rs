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

/// Asks the scripts about an attempt, of which then those recipients are left that are to be tried. False: nobody, and it has
/// been dealt with.
pub(super) async fn prepare(shard: &Rc<Shard>, errand: &mut Errand) -> bool {
    if errand.prepared {
        return true;
    }
    errand.prepared = true;
    let Some(hook) = shard.predelivery(&errand.attempt) else { return true };
    let prepared = match &*errand.attempt.recipients {
        [only] => match shard.delivery.remembered.take(only.key) {
            Some(Memory::Ready(ready)) => Ok(Prepared::Ready(ready)),
            remembered => {
                let back = remembered.and_then(Memory::given_back);
                ask_only(shard, &hook, errand, only, back).await
            }
        },
        _ => return Box::pin(prepare_several(shard, hook, errand)).await,
    };
    match prepared {
        Ok(Prepared::Ready(Ready { wishes, said })) => {
            errand.said = vec![said];
            errand.try_as(wishes);
            true
        }
        other => {
            Box::pin(async {
                match other {
                    Ok(prepared) => go_on(shard, errand, vec![prepared]).await,
                    Err(error) => cannot_read(shard, errand, error).await,
                }
            })
            .await
        }
    }
}

/// Asks about the only recipient of an attempt, as nearly all have one.
async fn ask_only(
    shard: &Rc<Shard>,
    hook: &QueueHook,
    errand: &Errand,
    recipient: &Recipient,
    back: Option<GivenBack>,
) -> Result<Prepared, ReadError> {
    let envelope = scripted::envelope(shard, hook, &errand.attempt).await?;
    Ok(ask(shard, hook, envelope.as_ref(), &errand.attempt, recipient, back).await)
}

async fn prepare_several(shard: &Rc<Shard>, hook: QueueHook, errand: &mut Errand) -> bool {
    let recipients = &errand.attempt.recipients;
    let remembered: Vec<_> =
        recipients.iter().map(|recipient| shard.delivery.remembered.take(recipient.key)).collect();
    let is_ready = |memory: &Option<Memory>| matches!(memory, Some(Memory::Ready(_)));
    let envelope = if remembered.iter().all(is_ready) {
        None
    } else {
        match scripted::envelope(shard, &hook, &errand.attempt).await {
            Ok(envelope) => envelope.map(Rc::new),
            Err(error) => return cannot_read(shard, errand, error).await,
        }
    };
    let attempt = Rc::new(errand.attempt.clone());
    let mut decided = Vec::with_capacity(remembered.len());
    let mut running = Vec::new();
    for (index, remembered) in remembered.into_iter().enumerate() {
        let back = match remembered {
            Some(Memory::Ready(ready)) => {
                decided.push(Some(Prepared::Ready(ready)));
                continue;
            }
            remembered => remembered.and_then(Memory::given_back),
        };
        decided.push(None);
        let (shard, hook) = (Rc::clone(shard), hook.clone());
        let (envelope, attempt) = (envelope.clone(), Rc::clone(&attempt));
        running.push(async move {
            let recipient = &attempt.recipients[index];
            ask(&shard, &hook, envelope.as_deref(), &attempt, recipient, back).await
        });
    }
    let mut answers = all(running).await.into_iter();
    let decided = decided.into_iter().map(|known| known.or_else(|| answers.next()));
    let decided: Vec<Prepared> = decided.flatten().collect();
    go_on(shard, errand, decided).await
}

/// Scripts that wait do so beside each other.
async fn all<F>(futures: Vec<F>) -> Vec<Prepared>
where
    F: Future<Output = Prepared> + 'static,
{
    let tasks: Vec<_> =
        futures.into_iter().map(|future| engine::task::spawn(Class::Interactive, future)).collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        // A task that was dropped is one of a shard that ends.
        answers.push(task.await.unwrap_or_else(|| Prepared::Queue(Box::new(Requeue::after_failure()))));
    }
    answers
}

async fn ask(
    shard: &Shard,
    hook: &QueueHook,
    envelope: Option<&Envelope>,
    attempt: &Attempt,
    recipient: &Recipient,
    back: Option<GivenBack>,
) -> Prepared {
    let (wishes, said) = (Wishes::none(), Said::default());
    let seen = Seen::new(shard, envelope, attempt, recipient, &wishes, &said);
    let script = hook.script();
    let mut item = seen.item(script.needs());
    let returned = back.as_ref().and_then(|back| back.value.as_deref());
    let asked = hooks::queued::Before { retry: recipient.attempts, returned };
    let decision = item.before(script, asked, || seen.message()).await;
    scripted::keep_metadata(shard, recipient, &item);
    let said = Said { readdressed: None, kept: item.into_kept(), returned: back.and_then(|back| back.value) };
    match decision {
        Predelivery::Try(None) => Prepared::Ready(Ready { wishes, said }),
        decision => decided(shard, hook, attempt, recipient, decision, said),
    }
}

fn decided(
    shard: &Shard,
    hook: &QueueHook,
    attempt: &Attempt,
    recipient: &Recipient,
    decision: Predelivery,
    said: Said,
) -> Prepared {
    match decision {
        Predelivery::Try(None) => Prepared::Ready(Ready { wishes: Wishes::none(), said }),
        Predelivery::Try(Some(wanted)) => match wishes(shard, attempt, recipient, *wanted) {
            Ok((wishes, readdressed)) => {
                let readdressed = readdressed.map(Box::new);
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

/// Carries out what was decided, but for the recipients that are to be tried together. False: there are none.
async fn go_on(shard: &Rc<Shard>, errand: &mut Errand, decided: Vec<Prepared>) -> bool {
    let mut companies: Vec<Company> = Vec::new();
    let mut removed = Vec::new();
    let recipients = std::mem::take(&mut errand.attempt.recipients);
    let attempt = &errand.attempt;
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
                after::requeue_untried(shard, attempt, &recipient, &requeue);
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
    send_back(shard, attempt, companies);
    match staying {
        Some(Company { wishes, members }) => {
            (errand.attempt.recipients, errand.said) = members.into_iter().unzip();
            errand.try_as(wishes);
            true
        }
        None => {
            shard.queue.borrow_mut().report(attempt.id, Vec::new(), engine::time::steady_ms());
            shard.store.release_body(message_id(attempt.message));
            shard.due.notify_one();
            false
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
async fn cannot_read(shard: &Rc<Shard>, errand: &Errand, error: ReadError) -> bool {
    let report = Report::for_all(unreadable(error));
    report::report(shard, Errand::fresh(errand.attempt.clone()), report, AttemptFacts::default()).await;
    shard.due.notify_one();
    false
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
