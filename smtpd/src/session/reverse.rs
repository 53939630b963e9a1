//! The confirmed reverse name of a client, looked up while the session goes on: only its Received field needs it, so the
//! banner does not wait.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use engine::sync::Notify;
use engine::task::Class;
use engine::time::Instant;
use hooks::NameAnswers;

use crate::limits;
use crate::resolver::{Reverse, Reversed};
use crate::shard::Shard;

/// What is known of a client's name.
#[derive(Debug)]
pub(super) enum Name {
    /// This, or that it has none.
    Known(Option<Box<[u8]>>),
    /// It is being asked for.
    Asked(Rc<Lookup>),
}

/// A look-up under way.
#[derive(Debug)]
pub(super) struct Lookup {
    since: Instant,
    answered: Cell<bool>,
    found: RefCell<Option<Reversed>>,
    changed: Notify,
}

impl Name {
    /// Begins to ask for the name of `address`. Addresses of this host have none worth asking for.
    pub(super) fn ask(shard: &Rc<Shard>, address: IpAddr) -> Name {
        if address.is_loopback() || address.is_unspecified() {
            return Name::Known(None);
        }
        let lookup = Rc::new(Lookup {
            since: engine::time::now(),
            answered: Cell::new(false),
            found: RefCell::default(),
            changed: Notify::new(),
        });
        let (resolver, asked) = (Rc::clone(&shard.resolver), Rc::clone(&lookup));
        engine::task::spawn(Class::Interactive, async move {
            let found = resolver.reverse(address).await;
            *asked.found.borrow_mut() = Some(found);
            asked.answered.set(true);
            asked.changed.notify_all();
        });
        Name::Asked(lookup)
    }

    /// Waits for the answer, no longer than [`limits::REVERSE_WAIT`] since it was asked for. A name that comes later
    /// is not taken. What DNS said is told once.
    pub(super) async fn settle(&mut self) -> Option<Box<NameAnswers>> {
        let Name::Asked(lookup) = self else { return None };
        let left = (lookup.since + limits::REVERSE_WAIT) - engine::time::now();
        let _ = engine::time::timeout(left, async {
            while !lookup.answered.get() {
                lookup.changed.notified().await;
            }
        })
        .await;
        let found = lookup.found.borrow_mut().take();
        let name = match &found {
            Some(Reversed { name: Reverse::Confirmed(name), .. }) => {
                Some(name.to_string().into_bytes().into())
            }
            _ => None,
        };
        *self = Name::Known(name);
        found.map(|found| Box::new(NameAnswers { reverse: found.names, forward: found.forward }))
    }

    /// The name, once settled.
    pub(super) fn get(&self) -> Option<&[u8]> {
        match self {
            Name::Known(name) => name.as_deref(),
            Name::Asked(_) => None,
        }
    }
}
