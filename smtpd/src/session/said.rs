//! What RCPT said of those for whom a script queues a message: NOTIFY and ORCPT (RFC 3461).

use hooks::Queued;
use net::smtp::address::Address;
use net::smtp::parameters::RcptParameters;
use rustc_hash::FxHashMap;

use super::transaction::Destination;

/// Hands out what the commands of a transaction said. Several can have one address: a script of RCPT may have changed it, or
/// the client says it twice.
pub(super) struct SaidOfRecipients<'t> {
    recipients: &'t [Destination],
    /// The recipients of an address in lower case, as scripts have it. Empty where RCPT said nothing of anybody.
    by_address: FxHashMap<Vec<u8>, Line>,
}

/// Those of one address, in their order.
#[derive(Default)]
struct Line {
    recipients: Vec<usize>,
    /// How many of them have been handed out.
    gone: usize,
}

impl<'t> SaidOfRecipients<'t> {
    pub(super) fn new(recipients: &'t [Destination]) -> SaidOfRecipients<'t> {
        let mut by_address: FxHashMap<Vec<u8>, Line> = FxHashMap::default();
        if recipients.iter().any(|to| to.rcpt.parameters != RcptParameters::default()) {
            for (index, to) in recipients.iter().enumerate() {
                by_address.entry(lower(&to.rcpt.recipient)).or_default().recipients.push(index);
            }
        }
        SaidOfRecipients { recipients, by_address }
    }

    /// What was said of the one that is queued: the one whose address object the script gave, else the next one of this
    /// address, and once there are no more, the last one again.
    pub(super) fn of(&mut self, queued: &Queued) -> RcptParameters {
        if self.by_address.is_empty() {
            return RcptParameters::default();
        }
        let index = queued.accepted.or_else(|| self.next_of(&queued.recipient));
        let to = index.and_then(|index| self.recipients.get(index));
        to.map(|to| to.rcpt.parameters.clone()).unwrap_or_default()
    }

    fn next_of(&mut self, recipient: &Address) -> Option<usize> {
        let line = self.by_address.get_mut(&lower(recipient))?;
        let next = line.recipients.get(line.gone).or(line.recipients.last()).copied();
        line.gone += 1;
        next
    }
}

fn lower(address: &Address) -> Vec<u8> {
    address.as_bytes().to_ascii_lowercase()
}
