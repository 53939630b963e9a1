//! `ip-list`: addresses and networks, some with a tag.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use script::fault::Fault;
use script::host::HostCall;

use super::lines;
use crate::Execution;
use crate::arguments::Arguments;
use crate::library::HostFuture;
use crate::limits::LIST_ENTRIES_MAX;

/// A list. The longest prefix counts.
#[derive(Debug, Default)]
pub(super) struct IpList {
    v4: Networks,
    v6: Networks,
}

/// Networks of one family.
#[derive(Debug, Default)]
struct Networks {
    /// The lengths of prefixes that occur, longest first.
    lengths: Vec<u8>,
    /// By length and the bits of the prefix, which stand at the left.
    entries: HashMap<(u8, u128), Option<String>>,
}

impl IpList {
    /// Reads lines of `address[/length] [tag]`.
    pub(super) fn read(text: &[u8], wrong: &mut dyn FnMut(usize, &str)) -> IpList {
        let mut list = IpList::default();
        lines::each(text, wrong, &mut |line| list.add(line));
        list
    }

    fn add(&mut self, line: &[u8]) -> Result<(), String> {
        if self.v4.entries.len() + self.v6.entries.len() >= LIST_ENTRIES_MAX {
            return Err(format!("there are more than {LIST_ENTRIES_MAX} entries"));
        }
        let text = String::from_utf8_lossy(line);
        let text = text.split('#').next().unwrap_or_default().trim_end();
        let (network, tag) = match text.split_once(|c: char| c.is_ascii_whitespace()) {
            Some((network, tag)) => (network, Some(tag.trim_start().to_owned())),
            None => (text, None),
        };
        let (address, length) = match network.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (network, None),
        };
        let bad = || format!("\"{network}\" is neither an address nor a network");
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), str::parse).map_err(|_| bad())?;
        if length > most {
            return Err(bad());
        }
        let (networks, bits) = self.of(address);
        networks.insert(length, bits, tag);
        Ok(())
    }

    fn of(&mut self, address: IpAddr) -> (&mut Networks, u128) {
        match address {
            IpAddr::V4(address) => (&mut self.v4, u128::from(address.to_bits()) << 96),
            IpAddr::V6(address) => (&mut self.v6, address.to_bits()),
        }
    }

    /// The tag of the smallest network with the address; none inside: it has no tag.
    fn find(&self, address: IpAddr) -> Option<Option<&str>> {
        match address {
            IpAddr::V4(address) => self.v4.find(u128::from(address.to_bits()) << 96),
            IpAddr::V6(address) => self.v6.find(address.to_bits()),
        }
    }
}

impl Networks {
    fn insert(&mut self, length: u8, bits: u128, tag: Option<String>) {
        if let Err(place) = self.lengths.binary_search_by(|other| length.cmp(other)) {
            self.lengths.insert(place, length);
        }
        self.entries.insert((length, prefix(bits, length)), tag);
    }

    fn find(&self, bits: u128) -> Option<Option<&str>> {
        let entry = |length: &u8| self.entries.get(&(*length, prefix(bits, *length)));
        self.lengths.iter().find_map(entry).map(|tag| tag.as_deref())
    }
}

fn prefix(bits: u128, length: u8) -> u128 {
    // A shift by all bits is none.
    bits & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

/// `ip_list_lookup(id, address)`
pub(super) fn ip_list_lookup(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let id = call.str(0)?.to_string_lossy().into_owned();
        let list = execution.environment.settings.plugins.ip_lists.get(&id).cloned();
        let list = list
            .ok_or_else(|| Fault::error(format!("ip_list_lookup(): there is no list \"{id}\" in plugins")))?;
        let Ok(address) = call.str(1)?.to_string_lossy().parse() else { return Ok(false.into()) };
        Ok(match list.find(address) {
            Some(Some(tag)) => tag.into(),
            found => found.is_some().into(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_network_counts() {
        let text = b"# list\n192.0.2.0/24\tnet\n192.0.2.7 host # one\n198.51.100.0/25\n2001:db8::/32 six\n0.0.0.0/0 all\n1.2.3\n::/129\n";
        let mut told = Vec::new();
        let list = IpList::read(text, &mut |line, what| told.push(format!("{line}: {what}")));
        assert_eq!(told.len(), 2, "{told:?}");
        for (address, expected) in [
            ("192.0.2.7", Some(Some("host"))),
            ("192.0.2.8", Some(Some("net"))),
            ("198.51.100.1", Some(None)),
            ("198.51.100.200", Some(Some("all"))),
            ("2001:db8::1", Some(Some("six"))),
            ("2001:db9::1", None),
        ] {
            assert_eq!(list.find(address.parse().unwrap()), expected, "{address}");
        }
    }
}
