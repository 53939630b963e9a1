//! `sqlite`: statements for files with databases, which run on the pool of threads.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use config::SqliteProfile;
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun};
use script::value::{Array, Object, Value};

use super::pool::{Bounds, Fate, Holder};
use super::profile::named;
use super::sql::{Param, params, statement};
use super::{Pools, SQLITE, ServiceError};
use crate::arguments::Arguments;
use crate::library::{HostFunction, HostFuture};
use crate::limits::{SERVICE_ANSWER_BYTES_MAX, SERVICE_ITEMS_MAX, SERVICE_WAIT, SQLITE_PATIENCE};
use crate::{Environment, Execution, offload};

pub(super) static CLASS: NativeClass = NativeClass {
    name: "SQLite",
    doc: "A file with a database of SQLite.",
    extends: None,
    constructor: Some(Native::inline(
        "SQLite",
        "[string profile]",
        (0, Some(1)),
        "By a profile of plugins[]; without one the default profile, or the only one.",
        construct,
    )),
    methods: &[Native {
        name: "query",
        params: "string query [, array params]",
        doc: "Runs a statement; each ? stands for one of the params: strings, numbers, booleans or none. The rows: arrays by \
              the names of the columns. Integers are strings, so that none loses digits. Errors throw. A transaction that a \
              query begins goes on until another one ends it, or the object goes.",
        min_args: 1,
        max_args: Some(2),
        run: NativeRun::Host(SQLITE),
    }],
    statics: &[],
};

pub(super) const HOST: [HostFunction; 1] = [HostFunction { number: SQLITE, run: query }];

/// What a shard keeps.
#[derive(Default)]
pub(super) struct State {
    pools: Pools<Slot>,
}

/// A connection, once there is one: it is made on the thread that asks it first.
type Slot = Option<Connection>;

/// An object of the class.
struct Sqlite {
    /// None: the default one.
    profile: Option<String>,
    /// A transaction is under way on it.
    held: Holder<Slot>,
}

impl HostObject for Sqlite {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn size_bytes(&self) -> usize {
        size_of::<Sqlite>() + self.profile.as_ref().map_or(0, String::len)
    }
}

/// Names of columns, and rows.
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// A value of a row.
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Bytes(Vec<u8>),
}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Cell {
        match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Real(number) => Cell::Real(number),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
        }
    }
}

fn find<'a>(environment: &'a Environment, name: Option<&str>) -> Option<&'a SqliteProfile> {
    environment.settings.plugins.services.sqlite.find(name)
}

fn construct(call: &mut Call<'_>) -> Result<Value, Fault> {
    let known = |environment: &Environment, name: Option<&str>| find(environment, name).is_some();
    let profile = named(call, "", "sqlite", known)?;
    Ok(Object::host(Sqlite { profile, held: Holder::default() }).into())
}

fn query(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let statement = statement(&call, 0)?;
        let params = params(&call, 1)?;
        let object = call.this::<Sqlite>()?;
        let environment = execution.environment();
        let profile = find(environment, object.profile.as_deref())
            .ok_or_else(|| call.error("there is no such profile any more"))?
            .clone();
        let bounds = Bounds { size: profile.pool_size, wait: SERVICE_WAIT, lifetime: None, idle_time: None };
        let pool = environment.services.sqlite.pools.of(&profile.id, bounds);
        let query = Arc::new((profile, statement, params));
        let ask = async |slot: &mut Slot| Ok(on_a_thread(slot, query.clone()).await);
        let fate = |slot: &Slot, _: &Result<_, ServiceError>| match slot {
            Some(connection) if connection.is_autocommit() => Fate::Rest,
            Some(_) => Fate::Hold,
            None => Fate::Close,
        };
        let rows = pool.with(&object.held, async || Ok(None), ask, fate).await;
        rows.map_err(|error| call.error(error))?.map(rows_value)
    })
}

/// Leaves the connection in its slot, unless there is none any more.
async fn on_a_thread(
    slot: &mut Slot,
    query: Arc<(SqliteProfile, String, Vec<Param>)>,
) -> Result<Rows, Fault> {
    let connection = slot.take();
    let work = move || {
        let (profile, statement, params) = &*query;
        let mut connection = connection.map_or_else(|| open(profile), Ok)?;
        let rows = run(&mut connection, statement, params);
        Ok::<_, rusqlite::Error>((connection, rows))
    };
    let (connection, rows) =
        offload::offload("query", work).await?.map_err(|error| Fault::error(error.to_string()))?;
    *slot = Some(connection);
    rows.map_err(Fault::error)
}

// ---- on a thread of the pool

fn open(profile: &SqliteProfile) -> Result<Connection, rusqlite::Error> {
    let access = if profile.readonly {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    };
    // One thread at a time has it.
    let connection =
        Connection::open_with_flags(&profile.filename, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(profile.busy_timeout)?;
    connection.pragma_update(None, "foreign_keys", profile.foreign_keys)?;
    Ok(connection)
}

/// Runs one statement, for as long as it may take.
fn run(connection: &mut Connection, statement: &str, params: &[Param]) -> Result<Rows, String> {
    let begin = now();
    let over = move || now().duration_since(begin) > SQLITE_PATIENCE;
    connection.progress_handler(10_000, Some(over)).map_err(|error| error.to_string())?;
    let rows = rows(connection, statement, params);
    rows.map_err(|error| match error {
        Failed::Sql(error) if over() => format!("the query took longer than {SQLITE_PATIENCE:?}: {error}"),
        Failed::Sql(error) => text_of(&error),
        Failed::Size => "the query gives more rows than are taken; use LIMIT".to_owned(),
    })
}

/// The clock of the thread: the engine's is its shards'.
#[expect(clippy::disallowed_methods, reason = "on a thread of the pool")]
fn now() -> Instant {
    Instant::now()
}

enum Failed {
    Sql(rusqlite::Error),
    Size,
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed::Sql(error)
    }
}

fn rows(connection: &Connection, statement: &str, params: &[Param]) -> Result<Rows, Failed> {
    let mut prepared = connection.prepare(statement)?;
    let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let mut found = prepared.query(rusqlite::params_from_iter(params))?;
    let (mut rows, mut bytes, mut items) = (Vec::new(), 0, 0);
    while let Some(row) = found.next()? {
        let mut values = Vec::with_capacity(columns.len());
        for column in 0..columns.len() {
            let value = row.get_ref(column)?;
            bytes += match value {
                ValueRef::Text(text) | ValueRef::Blob(text) => text.len(),
                _ => 0,
            };
            values.push(value.into());
        }
        items += values.len() + 1;
        if bytes > SERVICE_ANSWER_BYTES_MAX || items > SERVICE_ITEMS_MAX {
            return Err(Failed::Size);
        }
        rows.push(values);
    }
    Ok(Rows { columns, rows })
}

/// What SQLite itself says, where it says something.
fn text_of(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    }
}

impl ToSql for Param {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Param::Text(text) => ToSqlOutput::Borrowed(match std::str::from_utf8(text) {
                Ok(_) => ValueRef::Text(text),
                Err(_) => ValueRef::Blob(text),
            }),
            Param::Number(number) => ToSqlOutput::Owned(SqlValue::Real(*number)),
            Param::Bool(bool) => ToSqlOutput::Owned(SqlValue::Integer((*bool).into())),
            Param::Null => ToSqlOutput::Owned(SqlValue::Null),
        })
    }
}

fn rows_value(rows: Rows) -> Value {
    let row = |row: Vec<Cell>| {
        let mut array = Array::new();
        for (column, value) in rows.columns.iter().zip(row) {
            array.set_str(column, value_of(value));
        }
        Value::from(array)
    };
    rows.rows.into_iter().map(row).collect::<Vec<_>>().into()
}

fn value_of(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::None,
        Cell::Integer(number) => number.to_string().into(),
        Cell::Real(number) => number.into(),
        Cell::Bytes(bytes) => bytes.into(),
    }
}
