//! Which entry of `plugins[]` the object of a script asks.

use script::fault::Fault;
use script::native::Call;

use crate::Environment;
use crate::execution::ScriptHost;

/// The name that a constructor was given as its only argument; none: the default profile. A name that `known` does not
/// find is an error, which begins with `problem` and names the service.
pub(super) fn named(
    call: &mut Call<'_>,
    problem: &str,
    service: &str,
    known: impl FnOnce(&Environment, Option<&str>) -> bool,
) -> Result<Option<String>, Fault> {
    let profile = call.opt_str(0)?.map(|name| name.to_string_lossy().into_owned());
    let found = ScriptHost::of(call.host())
        .is_some_and(|host| known(&host.execution.environment, profile.as_deref()));
    if !found {
        let name = profile.as_deref().unwrap_or("default");
        return Err(call.error(format!("{problem}plugins[] has no profile \"{name}\" of {service}")));
    }
    Ok(profile)
}
