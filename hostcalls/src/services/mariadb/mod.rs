//! `mariadb`: statements for MariaDB and MySQL.

mod connection;
mod options;
mod packet;

use std::rc::Rc;

use config::MariadbProfile;
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun};
use script::value::{Array, Object, Value};

use connection::{Connection, Outcome};
pub(crate) use options::Options;
use packet::SqlError;

use super::link::within;
use super::pool::{Bounds, Fate, Holder};
use super::{MARIADB, Pools, ServiceError};
use crate::arguments::Arguments;
use crate::execution::ScriptHost;
use crate::library::{HostFunction, HostFuture};
use crate::limits::SERVICE_WAIT;
use crate::{Environment, Execution};

/// Errors of a client, as MariaDB numbers them.
const CR_UNKNOWN: u16 = 2000;
const CR_CONNECT: u16 = 2003;
const CR_LOST: u16 = 2013;

pub(super) static CLASS: NativeClass = NativeClass {
    name: "MySQL",
    doc: "A database of MariaDB or MySQL.",
    extends: None,
    constructor: Some(Native::inline(
        "MySQL",
        "[string profile]",
        (0, Some(1)),
        "By a profile of plugins[]; without one the default profile, or the only one.",
        construct,
    )),
    methods: &[Native {
        name: "query",
        params: "string statement",
        doc: "Runs a statement. An array: result, a list of rows, which are arrays by the names of the columns with strings \
              and none; and affected, the number of rows. On errors errno, error and sqlstate. A transaction that a \
              statement begins goes on until another one ends it, or the object goes.",
        min_args: 1,
        max_args: Some(1),
        run: NativeRun::Host(MARIADB),
    }],
    statics: &[Native::inline(
        "escape_string",
        "string parameter",
        (1, Some(1)),
        "A text as it may stand within the quotes of a statement.",
        escape_string,
    )],
};

pub(super) const ESCAPE: Native = Native::inline(
    "__mysql_escape_string",
    "string parameter",
    (1, Some(1)),
    "What mysql_escape_string of extras://mariadb runs.",
    escape_string,
);

pub(super) const HOST: [HostFunction; 1] = [HostFunction { number: MARIADB, run: query }];

/// What a shard keeps.
#[derive(Default)]
pub(super) struct State {
    pools: Pools<Connection>,
}

/// An object of the class.
struct MySql {
    /// None: the default one.
    profile: Option<String>,
    /// A transaction is under way on it.
    held: Holder<Connection>,
}

impl HostObject for MySql {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn size_bytes(&self) -> usize {
        size_of::<MySql>() + self.profile.as_ref().map_or(0, String::len)
    }
}

fn find<'a>(environment: &'a Environment, name: Option<&str>) -> Result<&'a MariadbProfile, String> {
    let missing = || match name {
        Some(name) => format!("unknown MySQL profile: plugins[] has no profile \"{name}\" of mariadb"),
        None => "no default profile: plugins[] has none of mariadb".to_owned(),
    };
    environment.settings.plugins.services.mariadb.find(name).ok_or_else(missing)
}

fn construct(call: &mut Call<'_>) -> Result<Value, Fault> {
    let profile = call.opt_str(0)?.map(|name| name.to_string_lossy().into_owned());
    let host = ScriptHost::of(call.host()).map(|host| host.execution.environment.clone());
    if let Some(environment) = host {
        find(&environment, profile.as_deref()).map_err(|why| call.error(why))?;
    }
    Ok(Object::host(MySql { profile, held: Holder::default() }).into())
}

fn escape_string(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(packet::escape(call.bytes(0)?).into())
}

/// A method, or a function that has no object.
fn query(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let statement = call.str(0)?;
        let object = if call.this.is_some() { Some(call.this::<MySql>()?) } else { None };
        let name = object.and_then(|object| object.profile.as_deref());
        let environment = execution.environment();
        let profile = find(environment, name).map_err(|why| call.error(why))?;
        let unheld = Holder::default();
        let holder = object.map_or(&unheld, |object| &object.held);
        let answer = run(environment, profile, holder, statement.as_bytes()).await;
        Ok(match answer.unwrap_or_else(|error| Err(of_ours(&error))) {
            Ok(outcome) => outcome_value(outcome),
            Err(error) => error_value(&error),
        })
    })
}

async fn run(
    environment: &Environment,
    profile: &MariadbProfile,
    holder: &Holder<Connection>,
    statement: &[u8],
) -> Result<Result<Outcome, SqlError>, ServiceError> {
    let Some(options) = environment.settings.plugins.mariadb.get(&profile.id).cloned() else {
        let path = profile.cnf.display();
        return Err(ServiceError::Settings(format!("the option file {path} could not be read")));
    };
    let bounds = Bounds { size: profile.pool_size, wait: SERVICE_WAIT, lifetime: None, idle_time: None };
    let pool = environment.services.mariadb.pools.of(&profile.id, bounds);
    let open = async || match Connection::open(environment, &options).await? {
        Ok(connection) => Ok(connection),
        Err(error) => Err(ServiceError::Sql { number: error.number, state: error.state, text: error.text }),
    };
    let patience = profile.write_timeout + profile.read_timeout;
    let ask =
        async |connection: &mut Connection| within(patience, "the query", connection.query(statement)).await;
    let fate = |connection: &Connection, _: &Result<_, ServiceError>| {
        if connection.in_transaction { Fate::Hold } else { Fate::Rest }
    };
    pool.with(holder, open, ask, fate).await
}

fn of_ours(error: &ServiceError) -> SqlError {
    let number = match error {
        ServiceError::Sql { number, state, text } => {
            return SqlError { number: *number, state: state.clone(), text: text.clone() };
        }
        ServiceError::Connect { .. } | ServiceError::Unresolved(_) => CR_CONNECT,
        ServiceError::Broken { .. } | ServiceError::Timeout { .. } => CR_LOST,
        _ => CR_UNKNOWN,
    };
    SqlError { number, state: "HY000".to_owned(), text: error.to_string() }
}

fn outcome_value(outcome: Outcome) -> Value {
    let rows = outcome.rows.into_iter().map(|row| {
        let mut array = Array::new();
        for (column, value) in outcome.columns.iter().zip(row) {
            array.set_str(column, value);
        }
        Value::from(array)
    });
    let mut array = Array::new();
    array.set_str("result", rows.collect::<Vec<_>>());
    array.set_str("affected", outcome.affected);
    array.into()
}

fn error_value(error: &SqlError) -> Value {
    let mut array = Array::new();
    array.set_str("errno", i32::from(error.number));
    array.set_str("error", &*error.text);
    array.set_str("sqlstate", &*error.state);
    array.into()
}

/// What proves a password to a server with this nonce.
#[cfg(test)]
pub(super) fn proof_for_tests(plugin: &str, password: &[u8], nonce: &[u8]) -> Vec<u8> {
    packet::proof(plugin, password, nonce).unwrap_or_default()
}

/// Whatever a server may say; and a text that is escaped stays within its quotes.
pub(super) fn check(bytes: &[u8]) {
    let _ = (packet::login_step(bytes), packet::answer(bytes), packet::column(bytes));
    if let Ok(Ok(greeting)) = packet::greeting(bytes) {
        assert!(greeting.nonce.len() <= bytes.len());
        let _ = packet::proof(&greeting.plugin, b"secret", &greeting.nonce);
    }
    for columns in [1, 2, 100] {
        if let Ok(packet::RowPacket::Row(values)) = packet::row(bytes, columns) {
            assert_eq!(values.len(), columns);
            assert!(values.iter().flatten().map(Vec::len).sum::<usize>() <= bytes.len());
        }
    }
    let escaped = packet::escape(bytes);
    let (mut rest, mut read) = (&escaped[..], Vec::new());
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        assert!(!matches!(byte, b'\'' | b'"' | 0), "it ends what it stands in");
        if *byte != b'\\' {
            read.push(*byte);
            continue;
        }
        let (letter, behind) = rest.split_first().expect("a backslash stands before something");
        rest = behind;
        read.push(match letter {
            b'0' => 0,
            b'n' => b'\n',
            b'r' => b'\r',
            b'Z' => 0x1a,
            letter => *letter,
        });
    }
    assert_eq!(read, bytes);
}
