//! `warmup`: the source addresses that are new, for scripts that choose among them. What they may send is for the server to
//! limit.

use std::rc::Rc;

use script::host::HostCall;
use script::value::{Array, Value};

use crate::Execution;
use crate::arguments::Arguments;
use crate::library::HostFuture;

/// `warmup_ips([class])`
pub(super) fn warmup_ips(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let class = call.opt_str(0)?.map(|class| class.to_string_lossy().into_owned());
        let addresses = execution.environment.settings.plugins.warm_up.addresses.iter();
        let wanted = addresses.filter(|address| class.as_ref().is_none_or(|class| *class == address.class));
        let listed = wanted.map(|address| -> Value {
            let mut array = Array::new();
            array.set_str("address", address.ip.to_string());
            if let Some(helo) = &address.helo {
                array.set_str("helo", helo.as_str());
            }
            array.into()
        });
        Ok(Array::from_iter(listed).into())
    })
}
