//! `--privdrop`: less power for what scripts do.

use config::Startup;
use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};

/// Becomes the user and group of `environment.privdrop`. Being them already is fine.
///
/// # Errors
/// A sentence: nothing to become, no such user or group, or no right to.
pub(crate) fn assume(startup: &Startup) -> Result<(), String> {
    let wanted = startup
        .environment
        .privdrop
        .as_ref()
        .ok_or("--privdrop: the startup configuration has no environment.privdrop")?;
    let user = wanted.user.as_deref().map(find_user).transpose()?;
    let group = match &wanted.group {
        Some(name) => Some(find_group(name)?),
        None => user.as_ref().map(|user| user.gid),
    };
    if let Some(group) = group.filter(|group| *group != Gid::effective()) {
        setgroups(&[group]).map_err(|error| format!("--privdrop: setgroups: {error}"))?;
        setgid(group).map_err(|error| format!("--privdrop: setgid: {error}"))?;
    }
    if let Some(user) = user.filter(|user| user.uid != Uid::effective()) {
        setuid(user.uid).map_err(|error| format!("--privdrop: setuid: {error}"))?;
    }
    Ok(())
}

fn find_user(name: &str) -> Result<User, String> {
    let user = User::from_name(name).map_err(|error| format!("--privdrop: getpwnam: {error}"))?;
    user.ok_or_else(|| format!("--privdrop: there is no user \"{name}\""))
}

fn find_group(name: &str) -> Result<Gid, String> {
    let group = Group::from_name(name).map_err(|error| format!("--privdrop: getgrnam: {error}"))?;
    group.map(|group| group.gid).ok_or_else(|| format!("--privdrop: there is no group \"{name}\""))
}
