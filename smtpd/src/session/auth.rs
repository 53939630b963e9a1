//! AUTH: who may try, and what becomes of those who fail. What is right, a script knows.

use net::smtp::error::{Error, LocalLimit, PeerMisbehaved};
use net::smtp::server::Claim;

use super::driver::Driver;
use crate::log::event::{AuthFailed, Event};

impl Driver {
    /// Answers AUTH where no script checks: nobody is right.
    pub(super) fn auth_unchecked(&mut self, claim: &Claim) {
        let refusal = match self.auth_allowed(claim) {
            Err(error) => error,
            Ok(()) => {
                let user = match claim {
                    Claim::Password { username, .. } => Some(&**username),
                    Claim::Round { .. } => None,
                };
                self.auth_failed(claim.mechanism(), user, "nothing checks passwords here");
                PeerMisbehaved::WrongCredentials.into()
            }
        };
        self.machine.refuse(refusal);
    }

    /// Whether the client may log in now. Asked before any password is looked at.
    ///
    /// # Errors
    /// Too many from its address have failed; or it wants to act as somebody else than it logs in as (RFC 4616), which
    /// no script is asked about and counts as a failure.
    pub(super) fn auth_allowed(&mut self, claim: &Claim) -> Result<(), Error> {
        let failures = &self.shard.program.auth_failures;
        if failures.is_blocked(self.client.remote.ip(), engine::time::steady_ms() / 1000) {
            return Err(LocalLimit::TooManyAuthFailuresFromAddress.into());
        }
        match claim {
            Claim::Password { authorization, username, .. }
                if !authorization.is_empty() && authorization != username =>
            {
                self.auth_failed(claim.mechanism(), Some(username), "asks to act as somebody else");
                Err(PeerMisbehaved::WrongCredentials.into())
            }
            _ => Ok(()),
        }
    }

    /// Counts and logs credentials that were wrong: the line that `packaging/fail2ban` looks for.
    pub(super) fn auth_failed(&mut self, mechanism: &str, user: Option<&[u8]>, why: &str) {
        let remote = self.client.remote;
        self.shard.program.auth_failures.count(remote.ip(), engine::time::steady_ms() / 1000);
        self.shard.log.event(&Event::AuthFailed(&AuthFailed {
            server: &self.server.id,
            remote,
            mechanism,
            user,
            why,
        }));
    }
}
