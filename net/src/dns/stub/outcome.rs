//! What becomes of a query: the next try, the target of an alias, an answer, a failure.

use super::{QueryId, Settings, Stub};
use crate::dns::answer::{Answer, Failure, Resolved};
use crate::dns::message::Found;
use crate::dns::name::DomainName;
use crate::dns::query::Way;
use crate::limits;

/// How long an answer without a lifetime of its own is kept.
const UNTIMED_TTL_MS: u64 = 5_000;

/// Longest life of a negative answer (RFC 2308 section 5 suggests one to three hours).
const NEGATIVE_TTL_MAX_S: u32 = 3_600;

impl Stub {
    pub(super) fn silent(&mut self, id: QueryId, failure: Failure, now_ms: u64) {
        self.land(id);
        self.servers.was_useless(now_ms);
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        query.last_failure = failure;
        // A server that is not reached by TCP may still be a good one by UDP.
        if !query.way.tcp || self.settings.tcp {
            self.servers.was_silent(query.server, now_ms);
        }
        if query.is_probe {
            self.queries.remove(&id);
        } else if query.way.case_changed && query.way.tcp && !self.settings.tcp {
            // It cannot be asked by TCP whether the change of case was its own. In lower case there is nothing to change.
            query.tries += 1;
            query.way = Way::new(false, query.way.manner);
            query.way.manner.mixed_case = false;
            self.to_send.push_back(id);
        } else {
            self.next_try(id, now_ms);
        }
    }

    pub(super) fn useless(&mut self, id: QueryId, failure: Failure, now_ms: u64) {
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        query.useless |= 1 << query.server;
        query.last_failure = failure;
        self.servers.was_useless(now_ms);
        self.next_try(id, now_ms);
    }

    fn next_try(&mut self, id: QueryId, now_ms: u64) {
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        query.tries += 1;
        let most = self.settings.rounds.max(1).saturating_mul(self.servers.len() as u32);
        let next = self.servers.after(query.server, query.useless).filter(|_| query.tries < most);
        let Some(server) = next else {
            let failure = query.last_failure;
            return self.fail(id, failure, now_ms);
        };
        self.ask(id, server, now_ms);
    }

    /// Asks this server for what is asked for now.
    pub(super) fn ask(&mut self, id: QueryId, server: usize, now_ms: u64) {
        let way = self.way(server, now_ms);
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        (query.server, query.way) = (server, way);
        self.to_send.push_back(id);
    }

    /// The name is an alias: goes on with its target.
    pub(super) fn follow(&mut self, id: QueryId, target: DomainName, found: Found, now_ms: u64) {
        let authentic = self.is_authentic(found);
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        query.aliases += 1;
        if query.aliases > limits::DNS_ALIASES_MAX {
            return self.fail(id, Failure::AliasLoop, now_ms);
        }
        query.alias_ttl_ms = query.alias_ttl_ms.min(u64::from(found.ttl_s.unwrap_or(0)) * 1_000);
        query.alias_authentic &= authentic;
        query.name = target;
        (query.tries, query.useless) = (0, 0);
        let server = query.server;
        match self.cache.get(&query.current(), now_ms) {
            Some(resolved) => self.finish(id, resolved, now_ms),
            None => self.ask(id, server, now_ms),
        }
    }

    fn is_authentic(&self, found: Found) -> bool {
        found.authentic && self.settings.trust_ad
    }

    pub(super) fn answer(&mut self, id: QueryId, answer: Answer, found: Found, now_ms: u64) {
        let negative = matches!(answer, Answer::NoData | Answer::NoDomain);
        let longest_s = if negative { NEGATIVE_TTL_MAX_S } else { u32::MAX };
        let left_ms = match found.ttl_s {
            Some(ttl_s) => {
                let Settings { ttl_min_s, ttl_max_s, .. } = self.settings;
                u64::from(ttl_s.min(longest_s).max(ttl_min_s).min(ttl_max_s)) * 1_000
            }
            None => UNTIMED_TTL_MS,
        };
        let authentic = self.is_authentic(found);
        self.finish(id, Resolved { answer, authentic, left_ms }, now_ms);
    }

    pub(super) fn fail(&mut self, id: QueryId, failure: Failure, now_ms: u64) {
        let query = self.queries.get(&id).expect("the caller names a query");
        let left_ms = self.cache.failure_ttl_ms(&query.question, failure);
        self.finish(id, Resolved { left_ms, ..Resolved::failed(failure) }, now_ms);
    }

    /// The question has an answer, seen from where its aliases led.
    fn finish(&mut self, id: QueryId, resolved: Resolved, now_ms: u64) {
        let query = self.queries.get(&id).expect("the caller names a query");
        let resolved = Resolved {
            answer: resolved.answer,
            authentic: resolved.authentic && query.alias_authentic,
            left_ms: resolved.left_ms.min(query.alias_ttl_ms),
        };
        self.cache.insert(query.question.clone(), &resolved, now_ms);
        self.close(id, resolved);
        self.start_waiting(now_ms);
    }

    pub(super) fn close(&mut self, id: QueryId, resolved: Resolved) {
        let query = self.queries.remove(&id).expect("the caller names a query");
        self.by_question.remove(&query.question);
        self.answers.push_back((id, resolved));
        self.running -= 1;
    }
}
