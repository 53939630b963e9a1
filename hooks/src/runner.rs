//! Runs hooks on one shard.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use hostcalls::hooks::Variable;
use hostcalls::mail::Resting;
use hostcalls::{Environment, Execution, ItemMetadata, Outcome};
use script::machine::{Context, HostVariable, Limits, Loaded};
use script::value::{Frozen, Value};
use uuid::Uuid;

use crate::decision::{Decision, Failure};
use crate::limits;
use crate::members::Reads;
use crate::queued::{Needs, sign};
use crate::scripts::{ScriptId, Scripts};
use crate::tally::Tallies;

/// Hears what goes on in scripts. Called in the middle of one: it must not block.
pub trait Notices {
    /// The output of `echo`, with the transaction that it is about.
    fn echo(&self, transaction: &str, text: &[u8]);
    /// A line for the system log, with a priority of syslog(3), and the transaction that its script is about.
    fn syslog(&self, transaction: &str, priority: u32, text: &[u8]);
    /// A script failed: what errors call it, and what happened where.
    fn failed(&self, transaction: &str, script: &str, what: &str);
}

/// The scripts of a configuration on one shard, for one server or for the queue.
#[derive(Clone)]
pub struct Runner {
    scripts: Arc<Scripts>,
    loaded: Rc<[OnceCell<Script>]>,
    environment: Rc<Environment>,
    notices: Rc<dyn Notices>,
    limits: Limits,
    /// For whom they run.
    tallies: Rc<Tallies>,
    /// What signs reports, once one was signed.
    signer: Rc<OnceCell<Rc<Loaded>>>,
}

/// A script on this shard.
struct Script {
    loaded: Rc<Loaded>,
    name: Rc<str>,
    /// Those variables of its hook that it mentions.
    mentioned: Box<[Mentioned]>,
    needs: Needs,
    /// For its next runs.
    #[expect(clippy::vec_box, reason = "a seat is handed on, not copied")]
    spare: RefCell<Vec<Box<Seat>>>,
}

/// What one run of a script needs beside its variables. It is handed on from run to run: most take no memory of their own.
struct Seat {
    context: Context,
    execution: Rc<Execution>,
    log: Rc<Labelled>,
}

/// A seat while a script runs on it. However that ends, what the script held is released.
struct Taken<'s> {
    script: &'s Script,
    seat: Option<Box<Seat>>,
}

/// A variable that a script mentions.
struct Mentioned {
    variable: Variable,
    place: HostVariable,
    reads: Reads,
}

/// What the log calls that which a script is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    /// A transaction.
    Transaction(Uuid),
    /// A queued recipient: its transaction, and which of that it is.
    Recipient(Uuid, u32),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Transaction(id) => id.fmt(f),
            Subject::Recipient(id, queue) => write!(f, "{id}:{queue}"),
        }
    }
}

/// What a script is about, beside its variables.
#[derive(Default)]
pub(crate) struct About {
    /// A queued recipient.
    pub(crate) item: Option<Rc<ItemMetadata>>,
    /// A message whose memory is given up while the script waits.
    pub(crate) rest: Option<Rc<Resting>>,
}

/// The value of `$context` between two hooks: nothing for most connections, else what the last script left.
#[derive(Clone, Default)]
pub struct Kept {
    value: Option<Frozen>,
    /// There is no such variable: no script ran that could have set it.
    unset: bool,
}

impl Runner {
    /// For this shard. Nobody counts what runs until [`Runner::counting`].
    pub fn new(
        scripts: Arc<Scripts>,
        environment: &Rc<Environment>,
        notices: Rc<dyn Notices>,
        limits: Limits,
    ) -> Rc<Runner> {
        let loaded = (0..scripts.len()).map(|_| OnceCell::new()).collect();
        let (tallies, signer, environment) = (Rc::default(), Rc::default(), Rc::clone(environment));
        Rc::new(Runner { scripts, loaded, environment, notices, limits, tallies, signer })
    }

    /// The same scripts, counted in `tallies`.
    pub fn counting(&self, tallies: &Rc<Tallies>) -> Rc<Runner> {
        Rc::new(Runner { tallies: Rc::clone(tallies), ..self.clone() })
    }

    /// The scripts it runs.
    pub fn scripts(&self) -> &Arc<Scripts> {
        &self.scripts
    }

    pub(crate) fn environment(&self) -> &Rc<Environment> {
        &self.environment
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn signer(&self) -> Rc<Loaded> {
        Rc::clone(self.signer.get_or_init(sign::program))
    }

    /// Tells that what a script has decided cannot be done, as if it had failed.
    pub fn cannot(&self, script: ScriptId, about: &str, what: &str) {
        self.notices.failed(about, &self.scripts.get(script).name(), what);
    }

    fn loaded(&self, script: ScriptId) -> &Script {
        self.loaded[script.0].get_or_init(|| {
            let script = self.scripts.get(script);
            let (program, loaded) = (&script.program, Loaded::new(&script.program));
            let mentioned = script.hook.variables.iter().filter_map(|variable| {
                let (place, reads) = (loaded.variable(variable.name)?, program.reads(variable.name)?);
                Some(Mentioned { variable: *variable, place, reads: Reads::new(reads, &loaded) })
            });
            let mentioned = mentioned.collect();
            let report = program.reads("arguments").is_some_and(|reads| reads.member("dsn").is_some());
            let needs = if report || program.reads("message").is_some() {
                Needs::Envelope
            } else if METADATA_FUNCTIONS.iter().any(|function| program.names(function)) {
                Needs::Metadata
            } else {
                Needs::Nothing
            };
            let spare = RefCell::default();
            Script { loaded, name: script.name().into(), mentioned, needs, spare }
        })
    }

    /// What a script of the queue can tell of its message.
    pub(crate) fn needs(&self, script: ScriptId) -> Needs {
        self.loaded(script).needs
    }

    /// Runs a script and reads its decision with `read`. `None`: the script or its decision is wrong, which has been told.
    pub(crate) async fn decide<T>(
        &self,
        script: ScriptId,
        subject: Subject,
        kept: &mut Kept,
        variables: impl Fn(&str, &Reads) -> Option<Value>,
        read: impl FnOnce(Decision) -> Result<T, Failure>,
    ) -> Option<T> {
        self.decide_about(About::default(), script, subject, kept, variables, read).await
    }

    /// The same for a script about a queued recipient or a message.
    pub(crate) async fn decide_about<T>(
        &self,
        about: About,
        script: ScriptId,
        subject: Subject,
        kept: &mut Kept,
        variables: impl Fn(&str, &Reads) -> Option<Value>,
        read: impl FnOnce(Decision) -> Result<T, Failure>,
    ) -> Option<T> {
        let counted = self.tallies.begin(self.scripts.get(script).hook);
        let result = self.run(about, script, subject, kept, &variables).await.and_then(read);
        match result {
            Ok(value) => Some(value),
            Err(Failure(what)) => {
                counted.failed();
                self.notices.failed(&subject.to_string(), &self.scripts.get(script).name(), &what);
                None
            }
        }
    }

    /// One for all hooks: what runs so often should be in the caches of the CPU.
    async fn run(
        &self,
        about: About,
        script: ScriptId,
        subject: Subject,
        kept: &mut Kept,
        variables: &dyn Fn(&str, &Reads) -> Option<Value>,
    ) -> Result<Decision, Failure> {
        let hook = self.scripts.get(script).hook;
        let script = self.loaded(script);
        let mut taken = Taken { script, seat: Some(self.seat(script, subject, about.item)) };
        let Some(seat) = &mut taken.seat else { unreachable!("it was just taken") };
        let Seat { context, execution, .. } = &mut **seat;
        for Mentioned { variable, place, reads } in &script.mentioned {
            if variable.name == CONTEXT {
                if !kept.unset {
                    let value = kept.value.as_ref().map_or(Value::None, Value::from_frozen);
                    context.set_variable(*place, value);
                }
                if !variable.read_only {
                    context.keep(*place);
                }
            } else if let Some(value) = variables(variable.name, reads) {
                context.set_variable(*place, value);
            }
        }
        if let Some(rest) = about.rest {
            execution.rest_by(rest);
        }
        let outcome = hostcalls::run(context, execution).await;
        // What the script left counts even if it failed afterwards: the next hook sees what the last one did.
        if let Some(value) = context.take_kept() {
            kept.keep(&value)?;
        }
        match outcome {
            Outcome::Done(_) => Ok(Decision::implied(hook)),
            Outcome::Finished(decision) => Decision::made(hook, decision),
            Outcome::Failed(error) => Err(Failure(error.to_string())),
        }
    }
}

impl Runner {
    /// A seat for one run.
    fn seat(&self, script: &Script, subject: Subject, item: Option<Rc<ItemMetadata>>) -> Box<Seat> {
        let spare = script.spare.borrow_mut().pop();
        if let Some(mut seat) = spare {
            seat.log.subject.set(subject);
            seat.execution.begin_again(item);
            return seat;
        }
        let log = Rc::new(Labelled { subject: Cell::new(subject), notices: Rc::clone(&self.notices) });
        let execution =
            Execution::begin_as(Rc::clone(&script.name), &self.environment, Rc::clone(&log) as _, item);
        Box::new(Seat { context: Context::new(&script.loaded, self.limits), execution, log })
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Some(mut seat) = self.seat.take() else { return };
        seat.context.renew();
        self.script.mentioned.iter().for_each(|mentioned| mentioned.reads.forget());
        if seat.execution.end() {
            let mut spare = self.script.spare.borrow_mut();
            if spare.len() < limits::MAX_SPARE_SEATS {
                spare.push(seat);
            }
        }
    }
}

const CONTEXT: &str = "context";

/// The functions that show and change what is kept with a message in the queue.
const METADATA_FUNCTIONS: [&str; 2] = ["GetMetaData", "SetMetaData"];

impl Kept {
    /// That of a script before which none ran that could have set it.
    pub fn unset() -> Kept {
        Kept { value: None, unset: true }
    }

    /// What it takes of memory.
    pub fn size_bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Frozen::size_bytes)
    }

    /// Keeps a copy that belongs to no program: the next hook is another one.
    fn keep(&mut self, value: &Value) -> Result<(), Failure> {
        if value.is_none() {
            self.value = None;
            return Ok(());
        }
        let frozen = value.freeze().map_err(|fault| Failure(format!("$context: {fault}")))?;
        if self.value.as_ref().is_some_and(|known| known.same(&frozen)) {
            return Ok(());
        }
        if frozen.size_bytes() > limits::MAX_CONTEXT_BYTES {
            let most = limits::MAX_CONTEXT_BYTES;
            return Err(Failure(format!("$context takes more than {most} bytes; nothing of it is kept")));
        }
        self.value = Some(frozen);
        Ok(())
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.value.is_some()).finish()
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("scripts", &self.scripts).finish_non_exhaustive()
    }
}

/// The log of one execution: lines of `echo` get what they are about.
struct Labelled {
    subject: Cell<Subject>,
    notices: Rc<dyn Notices>,
}

impl hostcalls::Log for Labelled {
    fn echo(&self, text: &[u8]) {
        self.notices.echo(&self.subject.get().to_string(), text);
    }

    fn syslog(&self, priority: u32, text: &[u8]) {
        self.notices.syslog(&self.subject.get().to_string(), priority, text);
    }
}
