//! What the program asks of the system as a process: limits, umask, user and group.
//!
//! Only the real program does this; a simulated server never comes here.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};

use crate::limits;

/// Raises the limits on open files and locked memory: open files to `nofile` where the configuration says so, else both
/// to their hard limits.
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
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).map_err(failed)?;
    let (_, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).map_err(failed)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard).map_err(failed)
}

/// What the configuration may ask of the system.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Connections of clients.
    pub inbound: u64,
    /// Connections to next hops.
    pub outbound: u64,
    /// Shards.
    pub shards: u64,
}

impl Need {
    /// Sentences on what the limits of this process do not allow, with numbers and the remedy. `rings`: io_uring serves.
    pub fn shortages(&self, rings: bool) -> Vec<String> {
        let limit = |resource| getrlimit(resource).map_or(u64::MAX, |(soft, _)| soft);
        let files = self.shortage_of_files(limit(Resource::RLIMIT_NOFILE));
        let locked = rings.then(|| self.shortage_of_locked_memory(limit(Resource::RLIMIT_MEMLOCK))).flatten();
        files.into_iter().chain(locked).collect()
    }

    /// The rings are there: the kernel does not count them, or the process is privileged. That may end with an update.
    fn shortage_of_locked_memory(&self, limit: u64) -> Option<String> {
        let need = engine::boot::rings_locked_bytes(u16::try_from(self.shards).unwrap_or(u16::MAX));
        (limit < need).then(|| {
            format!(
                "locked memory: the limit is {limit} bytes, and the rings of {} shards take {need}; they are not counted \
                 here, but Linux 6.14 and newer count them unless the process starts with CAP_IPC_LOCK: raise \
                 LimitMEMLOCK= of the service",
                self.shards
            )
        })
    }

    fn shortage_of_files(&self, limit: u64) -> Option<String> {
        let Need { inbound, outbound, shards } = self;
        let own = shards * limits::DESCRIPTORS_PER_SHARD;
        let need = inbound.saturating_add(*outbound).saturating_add(own);
        (limit < need).then(|| {
            format!(
                "open files: the limit is {limit}, and {need} may be needed: {inbound} connections of clients, {outbound} \
                 to next hops, {own} for {shards} shards; raise LimitNOFILE= of the service or environment.rlimit.nofile, \
                 or lower concurrency.total"
            )
        })
    }
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

/// Numbers of an owner and a group.
///
/// # Errors
/// `owner: no user "x"`, or the like.
pub fn find_owner(owner: Option<&str>, group: Option<&str>) -> Result<(Option<u32>, Option<u32>), String> {
    let user = owner.map(|name| match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("owner: no user \"{name}\"")),
        Err(error) => Err(format!("owner: getpwnam: {error}")),
    });
    let group = group.map(|name| match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("group: no group \"{name}\"")),
        Err(error) => Err(format!("group: getgrnam: {error}")),
    });
    Ok((user.transpose()?, group.transpose()?))
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
    fn a_shortage_of_files_is_named_in_numbers() {
        let need = Need { inbound: 10_000, outbound: 5_000, shards: 2 };
        assert_eq!(need.shortage_of_files(20_000), None);
        let text = need.shortage_of_files(1024).unwrap();
        assert!(text.contains("the limit is 1024, and 15256 may be needed"), "{text}");
    }

    #[test]
    fn a_shortage_of_locked_memory_is_named_in_numbers() {
        let need = Need { inbound: 1, outbound: 1, shards: 2 };
        assert_eq!(need.shortage_of_locked_memory(8 << 20), None);
        let text = need.shortage_of_locked_memory(65_536).unwrap();
        assert!(text.contains("the limit is 65536 bytes, and the rings of 2 shards take 638976"), "{text}");
    }

    #[test]
    fn limits_are_raised_to_what_is_allowed() {
        raise_limits(None).unwrap();
        for resource in [Resource::RLIMIT_NOFILE, Resource::RLIMIT_MEMLOCK] {
            let (soft, hard) = getrlimit(resource).unwrap();
            assert_eq!(soft, hard);
        }
    }

    #[test]
    fn becoming_oneself_needs_no_privilege() {
        let identity = Identity { user: Some(Uid::effective()), group: Some(Gid::effective()) };
        assert_eq!(identity.assume(), Ok(()));
    }
}
