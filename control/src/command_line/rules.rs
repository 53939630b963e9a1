//! Suspends and policies.

use super::{CommandLine, Line};
use crate::smtpd::property_value::Value;
use crate::smtpd::rate::Algorithm;
use crate::smtpd::{
    Fields8, PolicyCondition, PolicyConditionAddRequest, PolicyConditionDeleteRequest, PolicyConditionType,
    PolicyConditionUpdateRequest, PolicyRateRefillRequest, PropertyValue, Suspend, SuspendAddRequest,
    SuspendDeleteRequest, SuspendUpdateRequest, Then,
};

/// A suspend as the options that would add it.
#[must_use]
pub fn suspend(suspend: &Suspend) -> String {
    let mut line = Line::new("");
    line.option("id", &suspend.id);
    line.fields(suspend.fields.as_ref());
    line.label(&suspend.tag);
    line.finish()
}

/// A condition of a policy as the options that would add it.
#[must_use]
pub fn condition(condition: &PolicyCondition) -> String {
    let mut line = Line::new("");
    line.given("id", condition.id.as_deref());
    line.fields(condition.r#if.as_ref());
    line.then(condition.then.as_ref());
    line.finish()
}

impl CommandLine for SuspendAddRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("queue suspend add");
        line.given("id", self.id.as_deref());
        line.fields(self.fields.as_ref());
        line.given("ttl", Some(&self.ttl).filter(|ttl| **ttl != 0.0));
        line.label(&self.tag);
        line.free_data(&self.properties);
        line.finish()
    }
}

impl CommandLine for SuspendUpdateRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("queue suspend update");
        line.option("id", &self.id);
        line.given("ttl", self.ttl.as_ref());
        line.given("tag", self.tag.as_deref());
        line.free_data(&self.properties);
        line.finish()
    }
}

impl CommandLine for SuspendDeleteRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("queue suspend delete");
        line.each("id", &self.ids);
        line.fields(self.conditions.as_ref());
        line.finish()
    }
}

impl CommandLine for PolicyConditionAddRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("queue policy add");
        line.option("fields", self.fields.join(","));
        line.given("id", self.id.as_deref());
        match self.r#type() {
            PolicyConditionType::Config | PolicyConditionType::Dynamic => {}
            PolicyConditionType::Warmup => line.option("type", "warmup"),
            PolicyConditionType::Backoff => line.option("type", "backoff"),
        }
        line.fields(self.r#if.as_ref());
        line.then(self.then.as_ref());
        line.given("ttl", Some(&self.ttl).filter(|ttl| **ttl != 0.0));
        line.finish()
    }
}

impl CommandLine for PolicyConditionUpdateRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("queue policy update");
        line.option("id", &self.id);
        line.then(self.then.as_ref());
        line.given("ttl", self.ttl.as_ref());
        line.finish()
    }
}

impl CommandLine for PolicyConditionDeleteRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("queue policy delete");
        line.each("id", &self.ids);
        line.finish()
    }
}

impl CommandLine for PolicyRateRefillRequest {
    fn command_line(&self) -> String {
        let mut line = Line::new("queue policy refill");
        line.option("fields", self.fields.join(","));
        line.each("value", &self.values);
        line.finish()
    }
}

impl Line {
    fn fields(&mut self, given: Option<&Fields8>) {
        let Some(given) = given else { return };
        self.given("transportid", given.transportid.as_deref());
        self.given("localip", given.localip.as_deref());
        self.given("remoteip", given.remoteip.as_deref());
        self.given("remotemx", given.remotemx.as_deref());
        self.given("recipientdomain", given.recipientdomain.as_deref());
        self.given("jobid", given.jobid.as_deref());
        self.given("grouping", given.grouping.as_deref());
        self.given("tenantid", given.tenantid.as_deref());
    }

    fn then(&mut self, given: Option<&Then>) {
        let Some(given) = given else { return };
        self.given("concurrency", given.concurrency.as_ref());
        if let Some(rate) = &given.rate {
            self.option("rate", format!("{}/{}", rate.count, rate.interval));
            match rate.algorithm() {
                Algorithm::Default => {}
                Algorithm::Fixedwindow => self.option("rate-algorithm", "fixedwindow"),
                Algorithm::Tokenbucket => self.option("rate-algorithm", "tokenbucket"),
            }
        }
        self.given("connectinterval", given.connectinterval.as_ref());
        self.label(given.tag.as_deref().unwrap_or_default());
        self.flag("stop", given.stop);
        self.flag("no-cluster", given.cluster == Some(false));
        self.free_data(&given.properties);
    }

    fn label(&mut self, tag: &str) {
        self.given("tag", Some(tag).filter(|tag| !tag.is_empty()));
    }

    fn free_data<'p>(&mut self, given: impl IntoIterator<Item = (&'p String, &'p PropertyValue)>) {
        for (key, property) in given {
            let value = match &property.value {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Boolean(bool)) => bool.to_string(),
                None => continue,
            };
            self.option("property", format!("{key}={value}"));
        }
    }
}
