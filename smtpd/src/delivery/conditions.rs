//! The delivery file: settings for what is matched once host and source address are known (configuration 6.2).

use config::{DeliveryFile, DeliverySettings};
use queue::{Facts, Suspends};

use super::settings::{AttemptSettings, PoolingSettings, TlsSettings};
use crate::ruleset;

/// `delivery.conditions`, compiled.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// A rule for each condition.
    rules: Suspends,
    settings: Vec<AttemptSettings>,
    /// They may differ for recipients at different domains.
    by_domain: bool,
}

impl Conditions {
    /// Compiles the conditions of a file.
    ///
    /// # Errors
    /// A sentence that names the value.
    pub fn build(file: &DeliveryFile) -> Result<Conditions, String> {
        let conditions = file.conditions.iter();
        let rules: Vec<queue::Rule> =
            conditions.map(|condition| ruleset::rule(&condition.fields, None)).collect();
        let rules = Suspends::compile(&rules, &[]).map_err(|error| {
            let (number, value, problem) = (error.rule, error.value, error.problem);
            format!("smtpd_delivery: delivery.conditions[{number}]: \"{value}\": {problem}")
        })?;
        let fields = file.conditions.iter().flat_map(|condition| &condition.fields);
        let depends = |field| matches!(field, config::Field::RecipientDomain | config::Field::Grouping);
        Ok(Conditions {
            rules,
            settings: file.conditions.iter().map(|condition| settings(&condition.settings)).collect(),
            by_domain: fields.into_iter().any(|(field, _)| depends(*field)),
        })
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    /// The recipients of an attempt must share their domain, because settings depend on it.
    pub fn look_at_domain(&self) -> bool {
        self.by_domain
    }

    /// The settings of the first condition that matches.
    pub fn of(&self, facts: &Facts<'_>) -> Option<&AttemptSettings> {
        self.rules.matches(facts).map(|number| &self.settings[number])
    }
}

/// What the file sets, as settings of an attempt.
pub fn settings(file: &DeliverySettings) -> AttemptSettings {
    AttemptSettings {
        tls: TlsSettings { mode: file.tls_mode, versions: file.tls_versions, ..TlsSettings::default() },
        connect_timeout: file.connect_timeout,
        timeouts: file.timeouts.iter().cloned().collect(),
        pooling: PoolingSettings {
            enabled: file.pooling,
            timeout: file.pooling_timeout,
            transactions: file.pooling_transactions,
            evictable: file.pooling_evictable,
        },
        retry_count: file.retry_count,
        retry_intervals: file.retry_intervals.clone(),
        ..AttemptSettings::default()
    }
}
