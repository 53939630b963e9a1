//! What is an item's own: its addresses, its metadata and which quotas it counts for, in one allocation without spare room.

use crate::details::{Metadata, Quotas};
use crate::intern::{Interner, Name};
use crate::limits;

/// Length of the sender (u16), of the recipient (u16), number of quotas (u8, with [`CUT`]).
const HEAD_BYTES: usize = 5;
const NAME_BYTES: usize = 4;
/// Where the number of quotas stands.
const QUOTAS_AT: usize = 4;
/// Beside that number: some of the metadata was not kept.
const CUT: u8 = 0x80;
const _: () = assert!(limits::QUOTAS < CUT as usize);

/// The head, the quotas, the sender, the recipient, and to the end the metadata.
#[derive(Debug)]
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    /// Addresses have at most [`limits::ADDRESS_BYTES`]; of quotas, [`limits::QUOTAS`] are kept.
    pub(crate) fn new<'m>(
        sender: &[u8],
        recipient: &[u8],
        quotas: &[Name],
        metadata: impl Iterator<Item = (&'m [u8], &'m [u8])>,
    ) -> Packed {
        let quotas = &quotas[..quotas.len().min(limits::QUOTAS)];
        let mut out =
            Vec::with_capacity(HEAD_BYTES + quotas.len() * NAME_BYTES + sender.len() + recipient.len());
        out.extend_from_slice(&(sender.len() as u16).to_le_bytes());
        out.extend_from_slice(&(recipient.len() as u16).to_le_bytes());
        out.push(quotas.len() as u8);
        quotas.iter().for_each(|name| out.extend_from_slice(&name.to_bytes()));
        out.extend_from_slice(sender);
        out.extend_from_slice(recipient);
        put_metadata(&mut out, metadata);
        Packed(out.into_boxed_slice())
    }

    /// The same with other metadata.
    pub(crate) fn with_metadata<'m>(&self, metadata: impl Iterator<Item = (&'m [u8], &'m [u8])>) -> Packed {
        let kept = self.0.len() - self.parts().2.len();
        let mut out = self.0[..kept].to_vec();
        out[QUOTAS_AT] &= !CUT;
        put_metadata(&mut out, metadata);
        Packed(out.into_boxed_slice())
    }

    pub(crate) fn sender(&self) -> &[u8] {
        self.parts().0
    }

    pub(crate) fn recipient(&self) -> &[u8] {
        self.parts().1
    }

    /// What is kept of it.
    pub(crate) fn metadata(&self) -> Metadata<'_> {
        Metadata::of(self.parts().2)
    }

    /// Whether that is all of it.
    pub(crate) fn has_all_metadata(&self) -> bool {
        self.0[QUOTAS_AT] & CUT == 0
    }

    /// The quotas, by name.
    pub(crate) fn quotas<'a>(&'a self, names: &'a Interner) -> Quotas<'a> {
        Quotas::of(names, self.quota_names_bytes())
    }

    /// The quotas.
    pub(crate) fn quota_names(&self) -> impl Iterator<Item = Name> {
        names_of(self.quota_names_bytes())
    }

    fn quota_names_bytes(&self) -> &[u8] {
        &self.0[HEAD_BYTES..][..usize::from(self.0[QUOTAS_AT] & !CUT) * NAME_BYTES]
    }

    /// Sender, recipient, metadata.
    fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        let [a, b, c, d, quotas] = *self.0.first_chunk::<HEAD_BYTES>().expect("made with a head");
        let rest = &self.0[HEAD_BYTES + usize::from(quotas & !CUT) * NAME_BYTES..];
        let (sender, rest) = rest.split_at(u16::from_le_bytes([a, b]).into());
        let (recipient, metadata) = rest.split_at(u16::from_le_bytes([c, d]).into());
        (sender, recipient, metadata)
    }
}

/// Names as they stand in memory.
pub(crate) fn names_of(bytes: &[u8]) -> impl Iterator<Item = Name> {
    bytes.as_chunks().0.iter().map(|bytes| Name::from_bytes(*bytes))
}

/// Each text with its length as a little-endian u32 in front. `out` has a head.
fn put_metadata<'m>(out: &mut Vec<u8>, pairs: impl Iterator<Item = (&'m [u8], &'m [u8])>) {
    let begins = out.len();
    for (key, value) in pairs {
        if out.len() - begins + key.len() + value.len() + 8 > limits::METADATA_BYTES {
            out[QUOTAS_AT] |= CUT;
            break;
        }
        for text in [key, value] {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_come_back_and_metadata_can_be_replaced() {
        let mut names = Interner::new(1);
        let quotas = [names.acquire("q1"), names.acquire("q2")];
        let pairs: [(&[u8], &[u8]); 2] = [(b"k", b"v"), (b"", b"")];
        let packed = Packed::new(b"s@a", b"", &quotas, pairs.into_iter());
        let check = |packed: &Packed, pairs: &[(&[u8], &[u8])]| {
            assert_eq!((packed.sender(), packed.recipient()), (&b"s@a"[..], &b""[..]));
            assert_eq!(packed.quotas(&names).iter().collect::<Vec<_>>(), ["q1", "q2"]);
            assert_eq!(packed.metadata().iter().collect::<Vec<_>>(), pairs);
            assert!(packed.has_all_metadata());
        };
        check(&packed, &pairs);
        check(&packed.with_metadata(pairs.into_iter().skip(1)), &pairs[1..]);
        check(&packed.with_metadata(std::iter::empty()), &[]);
        assert_eq!(packed.quota_names().collect::<Vec<_>>(), quotas);
    }

    #[test]
    fn the_longest_of_everything_is_kept_and_no_more() {
        let long = vec![b'x'; limits::ADDRESS_BYTES];
        let mut names = Interner::new(1);
        let quotas = vec![names.acquire("q"); limits::QUOTAS + 1];
        let value = vec![b'v'; limits::METADATA_BYTES / 2];
        let packed = Packed::new(&long, &long, &quotas, [(&b"k"[..], &value[..]); 3].into_iter());
        assert_eq!((packed.sender().len(), packed.recipient().len()), (long.len(), long.len()));
        assert_eq!((packed.quota_names().count(), packed.metadata().iter().count()), (limits::QUOTAS, 1));
        assert!(!packed.has_all_metadata());
        let replaced = packed.with_metadata([(&b"k"[..], &value[..])].into_iter());
        assert_eq!((replaced.quota_names().count(), replaced.metadata().iter().count()), (limits::QUOTAS, 1));
        assert!(replaced.has_all_metadata());
        assert!(!packed.with_metadata([(&b"k"[..], &value[..]); 2].into_iter()).has_all_metadata());
    }
}
