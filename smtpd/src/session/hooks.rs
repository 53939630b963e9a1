//! The hooks of a session: what the operator's scripts say to each command (reference: hooks 1 and 3).
//!
//! A phase without a script is answered in [`driver`](super::driver). One with a script is answered here; what the driver
//! does for the phase anyway comes first, so that limits refuse before a script runs.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use data_encoding::BASE64;
use hooks::{
    Auth, AuthVerdict, Connection, Conversation, MessageAccepted, Parameter, Refusal, Runner, ScriptId,
    Verdict,
};
use net::smtp::error::{Error, LocalLimit, Storage};
use net::smtp::reply::Reply;
use net::smtp::server::{Claim, Event, Hello, Mail, Rcpt, Summary, Verb, Written};
use uuid::Uuid;

use super::driver::{Driver, Settled};
use super::reverse::Name;
use super::transaction::{Destination, Reception, Transaction};
use crate::log::event::Action;
use hostcalls::ids::transaction_id;

/// A session's talk with its scripts.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) runner: Rc<Runner>,
    pub(super) conversation: Conversation,
}

impl Driver {
    /// Begins the talk with the scripts, if the server has any.
    pub(super) fn begin_talk(&mut self) {
        if !self.server.hooks.any() {
            return;
        }
        let runner = match &self.stage {
            Some(stage) => stage.runner(self.number),
            None => self.shard.server_runner(self.number),
        };
        let Some(runner) = runner else { return };
        let connection = Connection {
            id: self.new_id(),
            server_id: self.server.id.clone(),
            remote: self.client.remote,
            remote_ptr: None,
            name_answers: None,
            remote_uid: self.peer.uid,
            local: self.client.destination.as_deref().copied().unwrap_or(self.peer.stream.local_addr()),
            proxy_ip: self.client.proxy.as_deref().copied(),
            proxy_tlvs: self.client.proxy_tlvs.take().map(Vec::from).unwrap_or_default(),
            hello: None,
            tls: None,
            auth: None,
        };
        let conversation = Conversation::new(connection, self.new_id());
        self.talk = Some(Box::new(Talk { runner, conversation }));
        if self.server.hooks.proxy.is_some() {
            self.machine.watch_lines();
        }
        self.tell_of_tls();
    }

    /// Scripts see what was agreed in the handshake. What the client said before it is forgotten (RFC 3207 section 4.2).
    pub(super) fn tell_of_tls(&mut self) {
        let (Some(talk), Some(agreed)) = (&mut self.talk, &self.tls) else { return };
        let connection = talk.conversation.connection_mut();
        (connection.hello, connection.auth) = (None, None);
        connection.tls = Some(hooks::Tls {
            protocol: agreed.version.to_owned(),
            cipher: agreed.cipher.to_owned(),
            key_bits: agreed.key_bits.into(),
            sni: agreed.sni.as_deref().map(str::to_owned),
            fault: agreed.fault(),
            certificates: match agreed.certificate {
                Some(_) => self.peer.stream.peer_certificates().iter().map(|der| der.to_vec()).collect(),
                None => Vec::new(),
            },
        });
    }

    /// Scripts see the client that XCLIENT names, and who that has logged in as, where XCLIENT said it (`logged_in`).
    pub(super) fn tell_of_client(&mut self, logged_in: bool) {
        let Some(talk) = &mut self.talk else { return };
        let (client, connection) = (&self.client, talk.conversation.connection_mut());
        connection.remote = client.remote;
        connection.remote_ptr = client.name.get().map(lossy);
        connection.local = client.destination.as_deref().copied().unwrap_or(connection.local);
        connection.hello = self.hello.as_ref().map(said);
        if logged_in {
            let user = client.user.as_deref().map(<[u8]>::to_vec);
            connection.auth = user.map(|user| Auth { mechanism: "XCLIENT".to_owned(), username: Some(user) });
        }
    }

    fn new_id(&self) -> Uuid {
        transaction_id(self.shard.program.uuid_version())
    }

    /// Scripts see the client's confirmed name, for which they wait a little.
    pub(super) async fn learn_name(&mut self) {
        let answers = self.client.name.settle().await;
        if let (Some(talk), Some(answers)) = (&mut self.talk, answers)
            && self.server.hooks.connect.is_some()
        {
            talk.conversation.connection_mut().name_answers = Some(answers);
        }
        if let (Some(talk), Some(name)) = (&mut self.talk, self.client.name.get())
            && talk.conversation.connection().remote_ptr.is_none()
        {
            talk.conversation.connection_mut().remote_ptr = Some(lossy(name));
        }
    }

    /// Whether a script answers this event.
    pub(super) fn has_script(&self, event: &Event) -> bool {
        let hooks = &self.server.hooks;
        self.talk.is_some()
            && match event {
                Event::Connect => hooks.connect.is_some(),
                Event::Line => hooks.proxy.is_some(),
                Event::Hello(_) => hooks.helo.is_some(),
                Event::Mail(_) => hooks.mailfrom.is_some(),
                Event::Rcpt(_) => hooks.rcptto.any(),
                Event::Auth(_) => hooks.auth.is_some(),
                _ => false,
            }
    }

    /// Answers the connect.
    pub(super) async fn hook_connect(&mut self) {
        self.learn_name().await;
        let (Some(script), Some(talk)) = (self.server.hooks.connect, &mut self.talk) else {
            return self.machine.accept();
        };
        match talk.conversation.connect(&talk.runner, script).await {
            Verdict::Accept(connected) => {
                // What the script says of the client stands in the Received field, too.
                let said = talk.conversation.connection();
                let ip = said.remote.ip();
                let name = said.remote_ptr.as_ref().map(|name| name.as_bytes().into());
                if name.is_some() || ip != self.client.remote.ip().to_canonical() {
                    self.client.name = Name::Known(name);
                }
                if !self.is_client(ip) {
                    return self.refuse_connection(LocalLimit::TooManyConnections);
                }
                match connected.banner {
                    Some(text) => self.machine.reply(&Reply::new(220, None, &text)),
                    None => self.machine.accept(),
                }
            }
            Verdict::Refuse(refusal) => self.answer_refusal(&refusal, Action::Connection),
        }
    }

    /// Answers HELO or EHLO.
    pub(super) async fn hook_hello(&mut self, mut hello: Hello) {
        self.learn_name().await;
        let (Some(script), Some(talk)) = (self.server.hooks.helo, &mut self.talk) else {
            return self.decide(Event::Hello(hello));
        };
        let keywords = self.machine.keywords();
        match talk.conversation.hello(&talk.runner, script, said(&hello), &keywords).await {
            Verdict::Accept(accepted) => {
                if let Some(counts) = &talk.conversation.connection().hello {
                    hello.host = counts.host.as_bytes().into();
                }
                self.note_hello(hello);
                self.machine.accept_hello(accepted.greeting.as_deref(), accepted.extensions);
            }
            Verdict::Refuse(refusal) => self.answer_refusal(&refusal, Action::Command),
        }
    }

    /// Answers AUTH, or a response within it.
    pub(super) async fn hook_auth(&mut self, claim: Claim) {
        self.learn_name().await;
        if let Err(error) = self.auth_allowed(&claim) {
            return self.machine.refuse(error);
        }
        let (Some(script), Some(talk)) = (self.server.hooks.auth, &mut self.talk) else {
            return self.auth_unchecked(&claim);
        };
        let Talk { runner, conversation } = &mut **talk;
        let (verdict, user) = match &claim {
            Claim::Password { mechanism, username, password, .. } => {
                let verdict = conversation.auth_password(runner, script, mechanism, username, password).await;
                (verdict, Some(username))
            }
            Claim::Round { mechanism, round, response } => {
                (conversation.auth_round(runner, script, mechanism, *round, response.as_deref()).await, None)
            }
        };
        match verdict {
            AuthVerdict::Accept(accepted) => {
                self.client.user = accepted.username.map(Vec::into_boxed_slice);
                self.machine.reply(&accepted.reply);
            }
            AuthVerdict::Refuse(refusal) => {
                if refusal.reply.is_permanent() {
                    self.auth_failed(claim.mechanism(), user.map(|user| &**user), "refused by the script");
                }
                self.answer_refusal(&refusal, Action::Command);
            }
            AuthVerdict::Challenge { bytes, disconnect } => {
                self.machine.challenge(&bytes);
                if disconnect {
                    self.hang_up_after(&Reply::new(334, None, &BASE64.encode(&bytes)));
                }
            }
        }
    }

    /// Answers MAIL.
    pub(super) async fn hook_mail(&mut self, mail: Mail) {
        self.learn_name().await;
        let mut transaction = match self.begin_transaction(mail) {
            Ok(transaction) => transaction,
            Err(error) => return self.refuse_event(error),
        };
        let (Some(script), Some(talk)) = (self.server.hooks.mailfrom, &mut self.talk) else {
            self.note_transaction(transaction);
            return self.machine.accept();
        };
        let parameters = parameters(&transaction.mail.written);
        let sender = transaction.mail.sender.as_ref();
        match talk.conversation.mail(&talk.runner, script, sender, parameters).await {
            Verdict::Accept(accepted) => {
                if let Some(sender) = accepted.sender {
                    transaction.mail.sender = sender;
                }
                self.transaction = Some(transaction);
                self.answer_accepted(accepted.reply);
            }
            Verdict::Refuse(refusal) => self.answer_refusal(&refusal, Action::Command),
        }
    }

    /// Answers RCPT.
    pub(super) async fn hook_rcpt(&mut self, mut rcpt: Rcpt) {
        self.learn_name().await;
        let script = self.server.hooks.rcptto.of_domain(rcpt.recipient.domain());
        let (Some(script), Some(talk)) = (script, &mut self.talk) else {
            self.note_recipient(rcpt, None);
            return self.machine.accept();
        };
        let parameters = parameters(&rcpt.written);
        let transport = self.server.transport.as_deref();
        let Talk { runner, conversation } = &mut **talk;
        let known = &self.server.transports;
        match conversation.rcpt(runner, script, &rcpt.recipient, &parameters, transport, known).await {
            Verdict::Accept(accepted) => {
                if let Some(recipient) = accepted.recipient {
                    rcpt.recipient = recipient;
                }
                self.note_recipient(rcpt, accepted.transport);
                self.answer_accepted(accepted.reply);
            }
            Verdict::Refuse(refusal) => self.answer_refusal(&refusal, Action::Command),
        }
    }

    /// Asks the script of the end of data. What it has queued is committed; if that fails, the answer says so.
    pub(super) async fn hook_end_of_data(
        &mut self,
        script: ScriptId,
        mut transaction: Box<Transaction>,
        summary: Summary,
        prefix: Bytes,
    ) -> Settled {
        let message = match transaction.message(&prefix).await {
            Ok(Some(message)) => message,
            Ok(None) => return LocalLimit::MessageTooLarge.into(),
            Err(error) => return error.into(),
        };
        let Some(talk) = &mut self.talk else { return Storage::Failed.into() };
        let received_s = engine::time::wall_ms() as f64 / 1000.0;
        let Talk { runner, conversation } = &mut **talk;
        let transports = self.server.transports.clone();
        let place = Rc::new(Cell::new(Some(transaction)));
        let reread = Transaction::reread(&place, &prefix);
        let (verdict, queued) =
            conversation.end_of_data(runner, script, message, received_s, transports, reread).await;
        let Some(transaction) = place.take() else {
            return Storage::Failed.into();
        };
        let id = transaction.id;
        if !queued.is_empty() {
            let at = Reception {
                shard: &self.shard,
                server: &self.server,
                stage: self.stage.as_ref(),
                client: &self.client,
                hello: self.hello.as_ref(),
            };
            if let Err(error) = transaction.commit(at, summary, prefix, Some(queued)).await {
                return error.into();
            }
        }
        match verdict {
            Verdict::Accept(MessageAccepted { reply: Some(reply) }) => Settled::Said(reply),
            Verdict::Accept(MessageAccepted { reply: None }) => Settled::Queued(id),
            Verdict::Refuse(refusal) => Settled::Refused(refusal),
        }
    }

    /// HELO or EHLO counts.
    pub(super) fn note_hello(&mut self, hello: Hello) {
        if let Some(talk) = &mut self.talk {
            talk.conversation.connection_mut().hello = Some(said(&hello));
        }
        self.hello = Some(hello);
        self.forget_transaction();
    }

    /// Keeps a recipient, for the scripts too.
    pub(super) fn note_recipient(&mut self, rcpt: Rcpt, transport: Option<String>) {
        if let Some(talk) = &mut self.talk {
            talk.conversation.transaction.recipients.push(hooks::Recipient {
                address: rcpt.recipient.clone(),
                parameters: parameters(&rcpt.written),
                transport: transport.clone().or_else(|| self.server.transport.clone()),
            });
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.recipients.push(Destination { rcpt, transport });
        }
    }

    /// MAIL is accepted, for scripts that have no say in it too.
    pub(super) fn note_transaction(&mut self, transaction: Box<Transaction>) {
        if let Some(talk) = &mut self.talk {
            let facts = &mut talk.conversation.transaction;
            facts.sender = Some(transaction.mail.sender.clone());
            facts.parameters = parameters(&transaction.mail.written);
        }
        self.transaction = Some(transaction);
    }

    /// Begins what MAIL asks for.
    pub(super) fn begin_transaction(&mut self, mail: Mail) -> Result<Box<Transaction>, Error> {
        let id = self.next_id();
        Ok(Box::new(Transaction::begin(&self.shard, self.tls.clone(), id, mail)?))
    }

    /// The id of a transaction that begins.
    pub(super) fn next_id(&self) -> Uuid {
        match &self.talk {
            Some(talk) => talk.conversation.transaction.id,
            None => self.new_id(),
        }
    }

    /// A transaction is over, or never was: the next one has another id.
    pub(super) fn forget_transaction(&mut self) {
        self.transaction = None;
        let id = self.talk.is_some().then(|| self.new_id());
        if let (Some(talk), Some(id)) = (&mut self.talk, id) {
            talk.conversation.reset(id);
        }
    }

    fn answer_accepted(&mut self, reply: Option<Reply>) {
        match reply {
            Some(reply) => self.machine.reply(&reply),
            None => self.machine.accept(),
        }
    }

    /// Answers what a script refuses.
    pub(super) fn answer_refusal(&mut self, refusal: &Refusal, action: Action) {
        self.machine.reply(&refusal.reply);
        self.log_reply(&refusal.reply, action);
        if refusal.disconnect {
            self.hang_up_after(&refusal.reply);
        }
    }
}

/// A greeting as scripts see it.
fn said(hello: &Hello) -> hooks::Hello {
    let verb = match hello.verb {
        Verb::Ehlo => "EHLO",
        Verb::Helo => "HELO",
    };
    hooks::Hello { verb, host: String::from_utf8_lossy(&hello.host).into_owned() }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Parameters as scripts see them.
fn parameters(written: &Written) -> Vec<Parameter> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    written.entries().map(|(keyword, value)| (keyword, text(value))).collect()
}
