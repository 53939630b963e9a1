//! What the server does for its scripts, beyond their own library.

use hostcalls::daemon::Daemon;
use hostcalls::smtp;

use crate::delivery::Family;
use crate::shard::Shell;
use crate::snapshot::Route;

/// The server, on the shard where it is asked.
#[derive(Debug)]
pub(crate) struct OfShard;

impl Daemon for OfShard {
    fn transport(&self, id: &str) -> Option<smtp::Server> {
        let snapshot = Shell::here().shard()?.snapshot();
        snapshot.routes.get(id).map(|route| server(route))
    }
}

/// A route for a single session of a script: with the first of its source addresses.
fn server(route: &Route) -> smtp::Server {
    let mut session = route.session.clone();
    let sources = route.sources.families.each_ref().map(|family| match family {
        Family::Off => smtp::Source::Off,
        Family::System => smtp::Source::System,
        Family::Pool(pool) => match pool.first() {
            None => smtp::Source::Off,
            Some(source) => {
                session = source.session.clone();
                smtp::Source::From {
                    address: source.address,
                    id: source.id.to_string(),
                    nonlocal: source.nonlocal,
                }
            }
        },
    });
    smtp::Server {
        next_hop: route.next_hop.clone(),
        port: route.port,
        mx: route.mx.clone(),
        sources,
        connect_timeout: route.connect_timeout,
        session,
        tls: route.tls.as_ref().map(|tls| smtp::ServerTls {
            side: tls.side.clone(),
            implicit: tls.implicit,
            optional: tls.optional,
        }),
    }
}
