//! Reads bodies in the background, so that damage is found while the sender may still have a copy.

use std::rc::Rc;
use std::time::Duration;

use engine::{task, time};

use crate::body::BodyReader;
use crate::limits::{SCRUB_BYTES_PER_S, SCRUB_CHUNK, SCRUB_DELAY_S, SCRUB_PERIOD_S};
use crate::messages::Message;
use crate::state::Phase;
use crate::store::Store;
use crate::types::MessageId;

/// How often it looks whether the store was closed.
const NAP: Duration = Duration::from_secs(5);

/// The task. Ends when the store is closed.
pub(crate) async fn run(store: Rc<Store>) {
    let mut wait = SCRUB_DELAY_S;
    loop {
        let until = time::now() + Duration::from_secs(wait);
        while time::now() < until || !store.state.borrow().loaded {
            if store.state.borrow().closing {
                return;
            }
            time::sleep(NAP).await;
        }
        let mut next = 0;
        while let Some(ids) = messages(&store, &mut next) {
            for id in ids {
                if store.state.borrow().closing {
                    return;
                }
                verify(&store, id).await;
            }
            task::yield_now().await;
        }
        wait = SCRUB_PERIOD_S;
    }
}

/// Some of the messages that are at rest (not in a segment that is being written, and not in memory), from number `next`
/// on, which is moved; none: that were all.
fn messages(store: &Store, next: &mut u32) -> Option<Vec<MessageId>> {
    let state = store.state.borrow();
    let from = *next;
    *next = from.saturating_add(SCRUB_CHUNK).min(state.messages.end());
    let at_rest = |home| state.segments.get(&home).is_some_and(|segment| segment.phase == Phase::Sealed);
    (from < *next).then(|| {
        let all = state.messages.numbered(from..*next);
        all.filter(|message| message.cache().is_none() && !message.damaged && at_rest(message.home))
            .map(Message::id)
            .collect()
    })
}

/// Reads a message whole; the reader sets it aside when it is damaged.
async fn verify(store: &Rc<Store>, id: MessageId) {
    let mut reader = BodyReader::new(store.clone(), id);
    let pause = |bytes: usize| Duration::from_micros(1_000_000 * bytes as u64 / SCRUB_BYTES_PER_S + 1);
    while let Ok(Some(bytes)) = reader.next().await {
        time::sleep(pause(bytes.len())).await;
    }
    store.state.borrow_mut().stats.scrubbed += 1;
}
