//! What the program asks of the system as a process: limits, umask, user and group.
//!
//! Only the real program does this; a simulated server never comes here.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};

/// Raises the limit on open files: to `nofile` where the configuration says so, else to the hard limit.
///
/// # Errors
/// `setrlimit: <reason>`, when `nofile` is above the hard limit and the process may not raise that.
pub fn raise_limits(nofile: Option<u64>) -> Result<(), String> {
    let failed = |error| format!("setrlimit: {error}");
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    let (soft, hard) = match nofile {
        Some(wanted) => (wanted, hard.max(wanted)),
        None => (hard, hard),
    };
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).map_err(failed)
}

/// User and group to become, looked up while the files that name them can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    user: Option<Uid>,
    group: Option<Gid>,
}

/// Looks up `environment.privdrop`.
///
/// # Errors
/// A sentence that names the user or group that does not exist.
pub fn find_identity(privdrop: &config::PrivDrop) -> Result<Identity, String> {
    let mut identity = Identity { user: None, group: None };
    if let Some(name) = &privdrop.user {
        let user = User::from_name(name).map_err(|error| format!("getpwnam: {error}"))?;
        let user = user.ok_or_else(|| format!("environment.privdrop.user: no user \"{name}\""))?;
        identity.user = Some(user.uid);
        identity.group = Some(user.gid);
    }
    if let Some(name) = &privdrop.group {
        let group = Group::from_name(name).map_err(|error| format!("getgrnam: {error}"))?;
        let group = group.ok_or_else(|| format!("environment.privdrop.group: no group \"{name}\""))?;
        identity.group = Some(group.gid);
    }
    Ok(identity)
}

impl Identity {
    /// Becomes this user and group, in all threads, without supplementary groups.
    ///
    /// # Errors
    /// `<call>: <reason>`. Being that user already is no error, so that a start without root works.
    pub fn assume(&self) -> Result<(), String> {
        let already = self.user.is_none_or(|user| user == Uid::effective())
            && self.group.is_none_or(|group| group == Gid::effective());
        if already {
            return Ok(());
        }
        if let Some(group) = self.group {
            setgroups(&[group]).map_err(|error| format!("setgroups: {error}"))?;
            setgid(group).map_err(|error| format!("setgid: {error}"))?;
        }
        if let Some(user) = self.user {
            setuid(user).map_err(|error| format!("setuid: {error}"))?;
        }
        Ok(())
    }
}

/// Sets the file mode creation mask.
pub fn set_umask(mask: u32) {
    umask(Mode::from_bits_truncate(mask));
}

/// The system's host name, for banner, EHLO and Received header.
pub fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_named() {
        let privdrop = config::PrivDrop { user: Some("no-such-user-here".into()), group: None };
        assert!(find_identity(&privdrop).unwrap_err().contains("no-such-user-here"));
    }

    #[test]
    fn becoming_oneself_needs_no_privilege() {
        let identity = Identity { user: Some(Uid::effective()), group: Some(Gid::effective()) };
        assert_eq!(identity.assume(), Ok(()));
    }
}
