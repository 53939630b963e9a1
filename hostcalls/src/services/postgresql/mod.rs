//! `postgresql`: queries with parameters, by the extended protocol in text form.

mod connection;

use std::rc::Rc;

use config::PostgresqlProfile;
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun};
use script::value::{Array, Object, Value};

use connection::{Connection, Rows};

use super::pool::{Bounds, Fate, Holder};
use super::profile::named;
use super::{POSTGRESQL, Pools, ServiceError};
use crate::arguments::Arguments;
use crate::library::{HostFunction, HostFuture};
use crate::limits::{SERVICE_WAIT, SQL_PATIENCE};
use crate::{Environment, Execution};

pub(super) static CLASS: NativeClass = NativeClass {
    name: "PostgreSQL",
    doc: "A database of PostgreSQL.",
    extends: None,
    constructor: Some(Native::inline(
        "PostgreSQL",
        "[string profile]",
        (0, Some(1)),
        "By a profile of plugins[]; without one the default profile, or the only one.",
        construct,
    )),
    methods: &[Native {
        name: "query",
        params: "string query [, array params]",
        doc: "Runs a statement; $1, $2... stand for the params: strings, numbers, booleans or none. The rows: arrays by the \
              names of the columns. Booleans, and numbers that are exact (int2, int4, float4, float8), are such; what else \
              there is, is a string. Errors throw. A transaction that a query begins goes on until another one ends it, or \
              the object goes.",
        min_args: 1,
        max_args: Some(2),
        run: NativeRun::Host(POSTGRESQL),
    }],
    statics: &[],
};

pub(super) const HOST: [HostFunction; 1] = [HostFunction { number: POSTGRESQL, run: query }];

/// What a shard keeps.
#[derive(Default)]
pub(super) struct State {
    pools: Pools<Connection>,
}

/// An object of the class.
struct PostgreSql {
    /// None: the default one.
    profile: Option<String>,
    /// A transaction is under way on it.
    held: Holder<Connection>,
}

impl HostObject for PostgreSql {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn size_bytes(&self) -> usize {
        size_of::<PostgreSql>() + self.profile.as_ref().map_or(0, String::len)
    }
}

fn find<'a>(environment: &'a Environment, name: Option<&str>) -> Option<&'a PostgresqlProfile> {
    environment.settings.plugins.services.postgresql.find(name)
}

fn construct(call: &mut Call<'_>) -> Result<Value, Fault> {
    let known = |environment: &Environment, name: Option<&str>| find(environment, name).is_some();
    let profile = named(call, "", "postgresql", known)?;
    Ok(Object::host(PostgreSql { profile, held: Holder::default() }).into())
}

fn query(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let statement = super::sql::statement(&call, 0)?;
        let params = super::sql::params(&call, 1)?;
        let object = call.this::<PostgreSql>()?;
        let environment = execution.environment();
        let profile = find(environment, object.profile.as_deref())
            .ok_or_else(|| call.error("there is no such profile any more"))?;
        let rows = run(environment, profile, object, &statement, &params).await;
        rows.map(rows_value).map_err(|error| Fault::error(error.to_string()))
    })
}

async fn run(
    environment: &Environment,
    profile: &PostgresqlProfile,
    object: &PostgreSql,
    statement: &str,
    params: &[super::sql::Param],
) -> Result<Rows, ServiceError> {
    let bounds = Bounds { size: profile.pool_size, wait: SERVICE_WAIT, lifetime: None, idle_time: None };
    let pool = environment.services.postgresql.pools.of(&profile.id, bounds);
    let open = async || {
        super::link::within(profile.connect_timeout, "connecting", Connection::open(environment, profile))
            .await
    };
    let ask = async |connection: &mut Connection| {
        super::link::within(SQL_PATIENCE, "the query", connection.query(statement, params)).await
    };
    let fate = |connection: &Connection, _: &Result<Rows, ServiceError>| {
        if connection.in_transaction() { Fate::Hold } else { Fate::Rest }
    };
    pool.with(&object.held, open, ask, fate).await
}

fn rows_value(rows: Rows) -> Value {
    let rows = rows.rows.into_iter().map(|row| {
        let mut array = Array::new();
        for (column, value) in rows.columns.iter().zip(row) {
            array.set_str(&column.name, value.map(|text| value_of(column.type_oid, &text)));
        }
        Value::from(array)
    });
    rows.collect::<Vec<_>>().into()
}

/// By the type of its column, as `pg_type` numbers them: bool, int2, int4, float4 and float8.
fn value_of(type_oid: u32, text: &[u8]) -> Value {
    match type_oid {
        16 => (text == b"t").into(),
        21 | 23 | 700 | 701 => match std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok())
        {
            Some(number) => number.into(),
            None => text.into(),
        },
        _ => text.into(),
    }
}

pub(in crate::services) use connection::check;
