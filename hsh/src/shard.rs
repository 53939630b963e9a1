//! Scripts on the engine: one shard for them, and the control thread for signals.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::boot::{self, DriverChoice, ShardId};
use engine::mesh;
use engine::sync::Notify;
use engine::task::{Class, spawn};
use hostcalls::source::Sources;
use hostcalls::{Environment, Execution, Log, Outcome, Settings, Stream};
use script::compile::Program;
use script::machine::{Context, Limits, Loaded};

use crate::debug::{Debugger, Talk};
use crate::limits::OUTPUT_DELAY_MS;
use crate::output::{Output, Written};
use crate::server::{Place, Server};
use crate::{repl, report};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// What the shard does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Runs a program to its end; the debugger that listens on this socket may look at it.
    Script(Arc<Program>, Option<PathBuf>),
    /// Talks, with these files to import.
    Session(Arc<Sources>),
}

/// Does the work and ends the process with its status.
///
/// # Errors
/// The engine cannot be started.
pub(crate) fn run(
    work: Work,
    settings: Settings,
    limits: Limits,
    server: &Place,
    output: &Arc<Output>,
) -> Result<i32, String> {
    let options =
        boot::Options { shards: 1, pin: false, signals: vec![SIGINT, SIGTERM], driver: DriverChoice::Auto };
    let settings = Arc::new(settings);
    let (server, output) = (server.clone(), Arc::clone(output));
    let root =
        move |_| root(work.clone(), Arc::clone(&settings), limits, server.clone(), Arc::clone(&output));
    boot::run(options, root).map_err(|error| format!("engine: {error}"))?;
    Ok(0)
}

/// The root task of both threads.
async fn root(work: Work, settings: Arc<Settings>, limits: Limits, server: Place, output: Arc<Output>) {
    if boot::is_control() {
        return obey_signals(&work, &output).await;
    }
    let talk = match &work {
        Work::Script(_, Some(socket)) => match Talk::begin(socket).await {
            Ok(talk) => Some(talk),
            Err(why) => {
                output.complain(&format!("hsh: {why}"));
                output.exit(1);
            }
        },
        _ => None,
    };
    let debugger = talk.as_ref().map(|talk| Rc::clone(talk.debugger()));
    let printer = Printer { output: Arc::clone(&output), waiting: Rc::default(), debugger: debugger.clone() };
    let environment = Environment::start(settings, Rc::new(printer));
    if let Some(debugger) = debugger {
        environment.debug_with(debugger);
    }
    environment.post_through(Rc::new(Server::new(server)));
    hostcalls::bulk::attach(&environment);
    let status = match work {
        Work::Script(program, _) => run_program(program, limits, &environment, &output).await,
        Work::Session(sources) => repl::run(&sources, limits, &environment, &output).await,
    };
    if let Some(talk) = talk {
        talk.end().await;
    }
    output.exit(status)
}

async fn run_program(
    program: Arc<Program>,
    limits: Limits,
    environment: &Rc<Environment>,
    output: &Output,
) -> i32 {
    let sources = Arc::clone(program.sources());
    let mut context = Context::new(&Loaded::new(&program), limits);
    match hostcalls::run(&mut context, &Execution::begin(environment)).await {
        Outcome::Done(_) | Outcome::Finished(_) => 0,
        Outcome::Failed(error) => {
            output.complain(&report::failure(&error, &sources));
            1
        }
    }
}

/// A signal ends the process; in a session, SIGINT stops what runs.
async fn obey_signals(work: &Work, output: &Output) {
    loop {
        let signal = engine::signal::next().await;
        match work {
            Work::Session(_) if signal == SIGINT => {
                let _ = mesh::send(ShardId(0), || Interrupt::here().0.notify_all());
            }
            _ => output.exit(128 + signal),
        }
    }
}

/// Told when somebody wants what runs to stop.
#[derive(Default)]
pub(crate) struct Interrupt(pub(crate) Notify);

impl Interrupt {
    /// That of this thread.
    pub(crate) fn here() -> Rc<Interrupt> {
        mesh::local::get().unwrap_or_else(|| {
            let interrupt = Rc::new(Interrupt::default());
            mesh::local::set(Rc::clone(&interrupt));
            interrupt
        })
    }
}

/// What scripts print, on the shard.
struct Printer {
    output: Arc<Output>,
    /// A task is about to write what is kept back.
    waiting: Rc<Cell<bool>>,
    /// Who is shown what scripts say instead of the standard streams, while it is there.
    debugger: Option<Rc<Debugger>>,
}

impl Printer {
    fn is_shown(&self, text: &[u8]) -> bool {
        self.debugger.as_ref().is_some_and(|debugger| debugger.print(text))
    }

    /// Sees to it that what is kept back is written soon.
    fn soon(&self, written: Written) {
        if written == Written::All || self.waiting.replace(true) {
            return;
        }
        let (output, waiting) = (Arc::clone(&self.output), Rc::clone(&self.waiting));
        spawn(Class::Interactive, async move {
            engine::time::sleep(Duration::from_millis(OUTPUT_DELAY_MS)).await;
            waiting.set(false);
            output.flush();
        });
    }
}

impl Log for Printer {
    fn echo(&self, text: &[u8]) {
        if !self.is_shown(text) {
            self.soon(self.output.echo(text));
        }
    }

    fn syslog(&self, priority: u32, text: &[u8]) {
        let line = report::syslog_line(priority, text);
        if !self.is_shown(line.as_bytes()) {
            self.output.complain(&line);
        }
    }

    fn standard(&self, stream: Stream, bytes: &[u8]) -> bool {
        match stream {
            Stream::Output => self.soon(self.output.print(bytes)),
            Stream::Error => self.output.print_error(bytes),
        }
        true
    }
}
