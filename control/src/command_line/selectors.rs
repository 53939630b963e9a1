//! Which recipients a queue command is about.

use super::Line;
use crate::smtpd::number_match::Operator;
use crate::smtpd::{
    AddressMatch, Conditions, MetadataMatch, NetworkMatch, NumberMatch, QueueId, QueueMatch, QueueState,
    StringMatch,
};

impl Line {
    /// The selectors; `--all` where there is none.
    pub(super) fn conditions(&mut self, given: Option<&Conditions>) {
        let empty = Conditions::default();
        let given = given.unwrap_or(&empty);
        if *given == empty {
            return self.flag("all", true);
        }
        self.each("id", given.ids.iter().map(id));
        self.each("state", given.queues.iter().map(state));
        self.texts("transportid", &given.transportids);
        self.texts("jobid", &given.jobids);
        self.texts("tenantid", &given.tenantids);
        self.texts("grouping", &given.groupings);
        self.addresses("sender", &given.senders);
        self.addresses("recipient", &given.recipients);
        self.networks("senderip", &given.senderips);
        self.networks("localip", &given.localips);
        self.networks("remoteip", &given.remoteips);
        self.texts("remotemx", &given.remotemxs);
        self.numbers("retrycount", &given.retrycounts);
        self.numbers("retrydelay", &given.retrydelays);
        self.numbers("age", &given.ages);
        self.numbers("ts", &given.tss);
        self.numbers("size", &given.sizes);
        self.numbers("priority", &given.priorities);
        self.each("metadata", given.metadata.iter().map(metadata));
        self.texts("tag", &given.tags);
        self.texts("serverid", &given.serverids);
        self.texts("saslusername", &given.saslusernames);
    }

    pub(super) fn texts(&mut self, name: &str, values: &[StringMatch]) {
        self.each(name, values.iter().map(|value| text(value, value.casesensitive)));
    }

    pub(super) fn networks(&mut self, name: &str, values: &[NetworkMatch]) {
        self.each(name, values.iter().map(|network| format!("{}{}", network.value, not(network.neq))));
    }

    fn numbers(&mut self, name: &str, values: &[NumberMatch]) {
        self.each(name, values.iter().map(number));
    }

    /// Addresses and their domains are two options; what they cannot say together is in parentheses.
    fn addresses(&mut self, name: &str, values: &[AddressMatch]) {
        let domain_option = format!("{name}domain");
        let part = |part: &Option<StringMatch>| part.as_ref().map(|part| text(part, part.casesensitive));
        if let Some((addresses, domains)) = crossed(values) {
            self.each(name, addresses.into_iter().map(|value| text(value, value.casesensitive)));
            return self
                .each(&domain_option, domains.into_iter().map(|value| text(value, value.casesensitive)));
        }
        for value in values {
            let parts = [
                ("address", part(&value.address)),
                ("localpart", part(&value.localpart)),
                ("domain", part(&value.domain)),
            ];
            let parts: Vec<String> =
                parts.into_iter().filter_map(|(name, part)| Some(format!("{name} {}", part?))).collect();
            self.option(name, format!("({})", parts.join(", ")));
        }
    }
}

/// The addresses and the domains whose every combination these are, in this order.
fn crossed(values: &[AddressMatch]) -> Option<(Vec<&StringMatch>, Vec<&StringMatch>)> {
    let (mut addresses, mut domains): (Vec<&StringMatch>, Vec<&StringMatch>) = (Vec::new(), Vec::new());
    for value in values {
        if value.localpart.is_some() {
            return None;
        }
        // Alternatives stand one after the other: those of an address together.
        if let Some(address) = &value.address
            && addresses.last() != Some(&address)
        {
            addresses.push(address);
        }
        if let Some(domain) = &value.domain
            && addresses.len() <= 1
        {
            domains.push(domain);
        }
    }
    let all = match (addresses.as_slice(), domains.as_slice()) {
        ([], domains) => domains.len() == values.len(),
        (addresses, []) => addresses.len() == values.len(),
        (addresses, domains) => {
            let pairs = addresses
                .iter()
                .flat_map(|address| domains.iter().map(move |domain| (Some(*address), Some(*domain))));
            pairs.eq(values.iter().map(|value| (value.address.as_ref(), value.domain.as_ref())))
        }
    };
    all.then_some((addresses, domains))
}

fn id(id: &QueueId) -> String {
    match id.queue {
        None => id.transaction.clone(),
        Some(queue) => format!("{}:{queue}", id.transaction),
    }
}

fn state(wanted: &QueueMatch) -> String {
    let name = QueueState::try_from(wanted.queue).unwrap_or_default().as_str_name();
    format!("{name}{}", not(wanted.neq))
}

fn not(negated: bool) -> &'static str {
    if negated { "(not)" } else { "" }
}

/// A text with what is special about how it is matched.
fn text(wanted: &StringMatch, case_sensitive: bool) -> String {
    let StringMatch { value, regex, neq, casesensitive: _, partial } = wanted;
    let is_regex = !regex.is_empty();
    let special =
        [("not", *neq), ("regex", is_regex), ("part", *partial && !is_regex), ("case", case_sensitive)];
    let special: Vec<&str> = special.into_iter().filter_map(|(name, is)| is.then_some(name)).collect();
    let value = if is_regex { regex } else { value };
    if special.is_empty() { value.clone() } else { format!("{value}({})", special.join(",")) }
}

fn number(wanted: &NumberMatch) -> String {
    let bound = |bound: Option<f64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
    let Some(value) = wanted.value else { return format!("{}..{}", bound(wanted.min), bound(wanted.max)) };
    let operator = match wanted.operator() {
        Operator::Eq => "",
        Operator::Neq => "!=",
        Operator::Gt => ">",
        Operator::Ge => ">=",
        Operator::Lt => "<",
        Operator::Le => "<=",
    };
    format!("{operator}{value}")
}

fn metadata(wanted: &MetadataMatch) -> String {
    let key = &wanted.key;
    // Values of metadata are told apart by case, unless the protocol says otherwise.
    let value = wanted.value.as_ref().map(|value| {
        let any_case = if value.casesensitive { "" } else { "(any case)" };
        format!("={}{any_case}", text(value, false))
    });
    let compared = wanted.number.as_ref().map(|wanted| match (wanted.value, wanted.operator()) {
        (Some(_), Operator::Eq) => format!("=={}", number(wanted)),
        (Some(_), _) => number(wanted),
        (None, _) => format!(" {}", number(wanted)),
    });
    format!("{key}{}{}", value.unwrap_or_default(), compared.unwrap_or_default())
}
