//! What methods ask a directory.

use std::cell::RefCell;
use std::rc::Rc;

use script::fault::Fault;
use script::host::HostCall;
use script::native::Options;
use script::value::{Array, Object, Value};

use super::codes::{FILTER_ERROR, LOCAL_ERROR, PARAM_ERROR, SUCCESS, UNWILLING};
use super::message::{self, Entry, Response, Scope};
use super::session::{Failed, Session, failure};
use super::{Ldap, LdapResult, State, filter};
use crate::Execution;
use crate::arguments::Arguments;
use crate::library::HostFuture;

pub(super) fn bind(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let Ldap(connection) = call.this::<Ldap>()?;
        let dn = call.opt_str(0)?.map_or(Vec::new(), |dn| dn.as_bytes().to_vec());
        let password = call.opt_str(1)?.map_or(Vec::new(), |password| password.as_bytes().to_vec());
        let bound = if !dn.is_empty() && password.is_empty() {
            Err(failure(UNWILLING, "a name with an empty password would be nobody (RFC 4513, section 5.1.2)"))
        } else {
            let request = async |session: &mut Session| {
                let id = session.next_id();
                session.send(message::bind(id, &dn, &password)).await?;
                done(session, id).await
            };
            connection.with(&execution, request).await
        };
        Ok(connection.outcome(bound, call.this_object()?))
    })
}

pub(super) fn start_tls(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let Ldap(connection) = call.this::<Ldap>()?;
        let tls = connection.tls();
        let begin = async |session: &mut Session| {
            if session.link.is_encrypted() {
                return Err(failure(LOCAL_ERROR, "there is TLS already"));
            }
            let id = session.next_id();
            session.send(message::start_tls(id)).await?;
            done(session, id).await?;
            session.encrypt(execution.environment(), tls).await
        };
        let begun = connection.with(&execution, begin).await;
        Ok(connection.outcome(begun, call.this_object()?))
    })
}

pub(super) fn unbind(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let Ldap(connection) = call.this::<Ldap>()?;
        let ended = match connection.state.replace(State::Ended) {
            State::Open(Some(mut session)) => {
                let id = session.next_id();
                let patience = connection.patience.get().answer;
                // Whether it is heard makes no difference.
                let _ = engine::time::timeout(patience, session.send(message::unbind(id))).await;
                Ok(())
            }
            State::New => Ok(()),
            State::Open(None) | State::Ended => Err(failure(LOCAL_ERROR, "the connection has ended")),
        };
        let _ = execution;
        Ok(connection.outcome(ended, call.this_object()?))
    })
}

pub(super) fn search(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let Ldap(connection) = call.this::<Ldap>()?;
        let base = call.str(0)?;
        let begun = match Wanted::of(&call.options(1)?)? {
            Err(failed) => Err(failed),
            Ok(Wanted { scope, filter, attributes }) => {
                let limit = connection.time_limit_s.get();
                let begin = async |session: &mut Session| {
                    let id = session.next_id();
                    let request = message::search(id, base.as_bytes(), scope, limit, filter, &attributes);
                    session.send(request).await?;
                    session.expect(id);
                    Ok(id)
                };
                connection.with(&execution, begin).await
            }
        };
        Ok(match begun {
            Ok(id) => {
                let result = LdapResult { connection: connection.clone(), id, end: RefCell::default() };
                Object::host(result).into()
            }
            Err(failed) => {
                connection.note(failed);
                Value::None
            }
        })
    })
}

/// What a search shall find.
struct Wanted {
    scope: Scope,
    filter: Vec<u8>,
    attributes: Vec<Vec<u8>>,
}

impl Wanted {
    fn of(options: &Options) -> Result<Result<Wanted, Failed>, Fault> {
        let scope = match options.str("scope")?.as_ref().map(|scope| scope.as_bytes()) {
            None | Some(b"sub") => Scope::Sub,
            Some(b"one") => Scope::One,
            Some(b"base") => Scope::Base,
            Some(_) => return Ok(Err(failure(PARAM_ERROR, "the scope is sub, one or base"))),
        };
        let text = options.str("filter")?;
        let text = text.as_ref().map_or(&b"(objectclass=*)"[..], |text| text.as_bytes());
        let Ok(filter) = filter::parse(text) else {
            return Ok(Err(failure(FILTER_ERROR, "the filter is none (RFC 4515)")));
        };
        let attributes = options.array("attributes")?.unwrap_or_default();
        let attributes = attributes.values().filter_map(|name| name.as_bytes().map(<[u8]>::to_vec)).collect();
        Ok(Ok(Wanted { scope, filter, attributes }))
    }
}

pub(super) fn next(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let result = call.this::<LdapResult>()?;
        let connection = &result.connection;
        let known_end = result.end.borrow().clone();
        let found = match known_end {
            Some(Ok(())) => return Ok(false.into()),
            Some(Err(failed)) => Err(failed),
            None => {
                let next = async |session: &mut Session| loop {
                    match session.answer(result.id).await? {
                        Response::Entry(entry) => return Ok(Some(entry)),
                        Response::Reference => {}
                        Response::Done(outcome) if outcome.code == SUCCESS => return Ok(None),
                        Response::Done(outcome) => return Err(outcome),
                    }
                };
                connection.with(&execution, next).await
            }
        };
        match found {
            Ok(Some(entry)) => Ok(entry_value(entry)),
            Ok(None) => {
                result.end.replace(Some(Ok(())));
                Ok(false.into())
            }
            Err(failed) => {
                result.end.replace(Some(Err(failed.clone())));
                connection.note(failed);
                Ok(Value::None)
            }
        }
    })
}

fn entry_value(entry: Entry) -> Value {
    let mut array = Array::new();
    array.set_str("dn", &entry.dn[..]);
    for (name, values) in entry.attributes {
        let values: Vec<Value> = values.into_iter().map(Value::from).collect();
        array.set_str(&String::from_utf8_lossy(&name), values);
    }
    array.into()
}

/// The answer to a request that has one.
async fn done(session: &mut Session, id: i32) -> Result<(), Failed> {
    loop {
        match session.answer(id).await? {
            Response::Done(outcome) if outcome.code == SUCCESS => return Ok(()),
            Response::Done(outcome) => return Err(outcome),
            Response::Entry(_) | Response::Reference => {}
        }
    }
}
