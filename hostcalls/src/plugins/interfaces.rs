//! `interfaces`: the network interfaces of this machine.

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use script::fault::Fault;
use script::native::Call;
use script::value::{Array, Value};

/// The names, in the order of the system.
pub(super) fn interfaces(call: &mut Call<'_>) -> Result<Value, Fault> {
    let mut names: Vec<String> = Vec::new();
    for address in all(call)? {
        if !names.contains(&address.interface_name) {
            names.push(address.interface_name);
        }
    }
    Ok(names.iter().map(|name| item("name", name)).collect::<Vec<_>>().into())
}

/// The addresses by which others reach this machine: not those of loops, links and groups.
pub(super) fn local_ips(call: &mut Call<'_>) -> Result<Value, Fault> {
    let wanted = call.opt_str(0)?.map(|name| name.to_string_lossy().into_owned());
    let addresses = all(call)?
        .filter(|address| wanted.as_ref().is_none_or(|wanted| *wanted == address.interface_name))
        .filter_map(|address| {
            let address = address.address?;
            if let Some(v4) = address.as_sockaddr_in() {
                let ip = v4.ip();
                let reachable = !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified();
                return reachable.then(|| item("address", &ip.to_string()));
            }
            let ip = address.as_sockaddr_in6()?.ip();
            let reachable = !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_unspecified();
            reachable.then(|| item("address", &ip.to_string()))
        });
    Ok(addresses.collect::<Vec<_>>().into())
}

fn all(call: &Call<'_>) -> Result<impl Iterator<Item = InterfaceAddress> + use<>, Fault> {
    getifaddrs().map_err(|error| call.error(error))
}

fn item(key: &str, value: &str) -> Value {
    let mut item = Array::new();
    item.set_str(key, value);
    item.into()
}
