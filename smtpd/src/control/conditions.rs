//! From the selectors of a request to a filter.

use std::net::IpAddr;

use control::smtpd as proto;
use ipnet::IpNet;
use queue::filter::{
    AddressMatch, Compare, Condition, Filter, IpField, Listed, MetadataMatch, Negatable, NumberField,
    NumberMatch, TextField, TextMatch,
};
use uuid::Uuid;

use super::tags::Selection;

/// What a request's conditions select; without any, all.
///
/// # Errors
/// A sentence that names the value that cannot be used.
pub(super) fn selection(conditions: Option<&proto::Conditions>) -> Result<Selection, String> {
    let Some(given) = conditions else { return Ok(Selection::default()) };
    Ok(Selection::new(filter(given)?, each(&given.tags, "tags", text_match)?))
}

fn filter(given: &proto::Conditions) -> Result<Filter, String> {
    let text = |field, list: &[proto::StringMatch], name: &str| {
        Ok::<_, String>(Condition::Text(field, each(list, name, text_match)?))
    };
    let ip = |field, list: &[proto::NetworkMatch], name: &str| {
        Ok::<_, String>(Condition::Ip(field, each(list, name, network_match)?))
    };
    let number = |field, list: &[proto::NumberMatch], name: &str| {
        Ok::<_, String>(Condition::Number(field, each(list, name, number_match)?))
    };
    Ok(Filter::new([
        Condition::Ids(each(&given.ids, "ids", id)?.into_iter().collect()),
        Condition::States(each(&given.queues, "queues", state)?),
        text(TextField::TransportId, &given.transportids, "transportids")?,
        text(TextField::JobId, &given.jobids, "jobids")?,
        text(TextField::TenantId, &given.tenantids, "tenantids")?,
        text(TextField::Grouping, &given.groupings, "groupings")?,
        Condition::Sender(each(&given.senders, "senders", address_match)?),
        Condition::Recipient(each(&given.recipients, "recipients", address_match)?),
        ip(IpField::Sender, &given.senderips, "senderips")?,
        ip(IpField::Local, &given.localips, "localips")?,
        ip(IpField::Remote, &given.remoteips, "remoteips")?,
        Condition::Text(TextField::RemoteMx, each(&given.remotemxs, "remotemxs", host_match)?),
        text(TextField::ServerId, &given.serverids, "serverids")?,
        text(TextField::SaslUser, &given.saslusernames, "saslusernames")?,
        number(NumberField::RetryCount, &given.retrycounts, "retrycounts")?,
        number(NumberField::RetryDelay, &given.retrydelays, "retrydelays")?,
        number(NumberField::Age, &given.ages, "ages")?,
        number(NumberField::Received, &given.tss, "tss")?,
        number(NumberField::Size, &given.sizes, "sizes")?,
        number(NumberField::Priority, &given.priorities, "priorities")?,
        Condition::Metadata(each(&given.metadata, "metadata", metadata_match)?),
    ]))
}

fn each<P, T>(list: &[P], name: &str, one: impl Fn(&P) -> Result<T, String>) -> Result<Vec<T>, String> {
    list.iter().map(|value| one(value).map_err(|why| format!("{name}: {why}"))).collect()
}

/// Transaction and recipient.
pub(super) fn id(id: &proto::QueueId) -> Result<([u8; 16], Option<u32>), String> {
    let transaction = Uuid::parse_str(&id.transaction)
        .map_err(|_| format!("\"{}\" is not the id of a transaction", id.transaction))?;
    Ok((*transaction.as_bytes(), id.queue))
}

fn state(wanted: &proto::QueueMatch) -> Result<Negatable<Listed>, String> {
    use proto::QueueState as Q;
    let value = match Q::try_from(wanted.queue) {
        Ok(Q::Active) => Listed::Active,
        Ok(Q::Defer) => Listed::Defer,
        Ok(Q::Hold) => Listed::Hold,
        Ok(Q::Sending) => Listed::Sending,
        Ok(Q::Unknown) => Listed::Unknown,
        Ok(Q::Update) => Listed::Update,
        Ok(Q::Unspecified) | Err(_) => return Err(format!("{} is not a state", wanted.queue)),
    };
    Ok(Negatable { value, negate: wanted.neq })
}

fn text_match(wanted: &proto::StringMatch) -> Result<TextMatch, String> {
    let proto::StringMatch { value, regex, neq, casesensitive, partial } = wanted;
    let found = if !regex.is_empty() {
        TextMatch::regex(regex, *casesensitive).map_err(|error| format!("\"{regex}\": {error}"))?
    } else if *partial {
        TextMatch::containing(value, *casesensitive).map_err(|error| format!("\"{value}\": {error}"))?
    } else {
        TextMatch::equal(value).case_sensitive(*casesensitive)
    };
    Ok(found.negated(*neq))
}

fn host_match(wanted: &proto::StringMatch) -> Result<TextMatch, String> {
    if wanted.regex.is_empty() && !wanted.partial {
        return Ok(TextMatch::host(&wanted.value).negated(wanted.neq));
    }
    text_match(wanted)
}

fn address_match(wanted: &proto::AddressMatch) -> Result<AddressMatch, String> {
    let part = |part: &Option<proto::StringMatch>| part.as_ref().map(text_match).transpose();
    Ok(AddressMatch {
        address: part(&wanted.address)?,
        local_part: part(&wanted.localpart)?,
        domain: part(&wanted.domain)?,
    })
}

fn network_match(wanted: &proto::NetworkMatch) -> Result<Negatable<IpNet>, String> {
    let value = wanted.value.parse::<IpNet>().or_else(|_| wanted.value.parse::<IpAddr>().map(IpNet::from));
    let value = value.map_err(|_| format!("\"{}\" is neither an address nor a network", wanted.value))?;
    Ok(Negatable { value, negate: wanted.neq })
}

fn number_match(wanted: &proto::NumberMatch) -> Result<NumberMatch, String> {
    use proto::number_match::Operator;
    match (wanted.value, wanted.min, wanted.max) {
        (Some(value), None, None) => {
            let compare = match wanted.operator() {
                Operator::Eq => Compare::Equal,
                Operator::Neq => Compare::NotEqual,
                Operator::Gt => Compare::Above,
                Operator::Ge => Compare::AtLeast,
                Operator::Lt => Compare::Below,
                Operator::Le => Compare::AtMost,
            };
            Ok(NumberMatch::To(compare, value))
        }
        (None, None, None) => Err("a number takes a value, or bounds".to_owned()),
        (None, min, max) => Ok(NumberMatch::Within(min, max)),
        (Some(_), _, _) => Err("a number takes either a value or bounds".to_owned()),
    }
}

fn metadata_match(wanted: &proto::MetadataMatch) -> Result<MetadataMatch, String> {
    Ok(MetadataMatch {
        key: wanted.key.as_bytes().into(),
        value: wanted.value.as_ref().map(text_match).transpose()?,
        number: wanted.number.as_ref().map(number_match).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(conditions: &proto::Conditions) -> String {
        selection(Some(conditions)).expect_err("it cannot be used")
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let ids = vec![proto::QueueId { transaction: "17".into(), queue: None }];
        let conditions = proto::Conditions { ids, ..Default::default() };
        assert_eq!(refusal(&conditions), "ids: \"17\" is not the id of a transaction");
        let senderips = vec![proto::NetworkMatch { value: "192.0.2.0/33".into(), neq: false }];
        let conditions = proto::Conditions { senderips, ..Default::default() };
        assert_eq!(refusal(&conditions), "senderips: \"192.0.2.0/33\" is neither an address nor a network");
        let jobids = vec![proto::StringMatch { regex: "(".into(), ..Default::default() }];
        let conditions = proto::Conditions { jobids, ..Default::default() };
        assert!(refusal(&conditions).starts_with("jobids: \"(\": regex parse error"));
        let conditions = proto::Conditions { ages: vec![Default::default()], ..Default::default() };
        assert_eq!(refusal(&conditions), "ages: a number takes a value, or bounds");
        let queues = vec![proto::QueueMatch { queue: 0, neq: false }];
        let conditions = proto::Conditions { queues, ..Default::default() };
        assert_eq!(refusal(&conditions), "queues: 0 is not a state");
    }

    #[test]
    fn no_conditions_select_all() {
        assert!(selection(None).unwrap().is_empty());
        assert!(selection(Some(&proto::Conditions::default())).unwrap().is_empty());
    }
}
