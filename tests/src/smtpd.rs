//! The program under test.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{ControlClient, free_port, wait_until};

/// Path of a program of this workspace, built beside this test.
///
/// # Panics
/// When it has not been built: `cargo build --workspace --bins` does it (`make test` runs that first).
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    let path = profile.join(name);
    assert!(path.exists(), "{} is missing: run cargo build --workspace --bins", path.display());
    path
}

/// A server to be started: its configuration, and where it keeps its spool.
#[derive(Debug)]
pub struct Builder {
    dir: Arc<TempDir>,
    spool: PathBuf,
    port: u16,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
    shards: u32,
    listen: String,
    server: String,
    transport: String,
    running: String,
    /// More listeners, and more keys of the startup file's root.
    listeners: String,
    startup: String,
    spool_lines: Option<String>,
    /// `environment.driver`.
    driver: &'static str,
    environment: String,
    /// More keys of its control socket.
    control: &'static str,
    suspends: Option<String>,
    /// `environment.controlsocket`, where it is not a path in the directory.
    control_elsewhere: Option<String>,
    /// The transport group's retry block, a line.
    retry: &'static str,
    /// The server's transport, a line.
    server_transport: &'static str,
}

/// A running `smtpd`. Dropping it kills it.
#[derive(Debug)]
pub struct Smtpd {
    builder: Builder,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

/// `TEST_DRIVER=epoll` has all servers run on epoll that no test asks for something else.
fn driver_of_environment() -> &'static str {
    match std::env::var("TEST_DRIVER").as_deref() {
        Ok("epoll") => "epoll",
        Ok("uring") => "uring",
        _ => "auto",
    }
}

impl Smtpd {
    /// A relay to the next hop on this port of loopback, with retries every second.
    pub fn relay_to(port: u16) -> Builder {
        let dir = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        Builder {
            spool: dir.path().join("spool"),
            dir,
            port: free_port(),
            variables: Vec::new(),
            arguments: Vec::new(),
            shards: 2,
            driver: driver_of_environment(),
            listen: String::new(),
            server: String::new(),
            transport: format!("connection: {{server: 127.0.0.1, port: {port}}}"),
            running: String::new(),
            listeners: String::new(),
            startup: String::new(),
            spool_lines: None,
            environment: String::new(),
            control: "",
            suspends: None,
            control_elsewhere: None,
            retry: "    retry: {count: 1000, intervals: [{interval: 1}]}\n",
            server_transport: "    transport: out\n",
        }
    }

    /// A relay that finds its next hops in DNS: asks the name server on this port of loopback, and connects to
    /// `port` of the hosts it is told.
    pub fn by_mx(port: u16, name_server: u16) -> Builder {
        let mut builder = Smtpd::relay_to(port);
        builder.transport = format!("connection: {{port: {port}}}");
        builder.running = format!("resolver: {{servers: [\"127.0.0.1:{name_server}\"]}}\n");
        builder
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.builder.port
    }

    /// The directory of its files.
    pub fn dir(&self) -> &Path {
        self.builder.dir()
    }

    /// Its spool directory.
    pub fn spool(&self) -> &Path {
        &self.builder.spool
    }

    /// A client of its control socket.
    pub fn control(&self) -> ControlClient {
        ControlClient::connect(&self.builder.control_socket())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines it has logged.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("no test thread panics while logging").clone()
    }

    /// Waits for a log line with `text` in it.
    ///
    /// # Panics
    /// When none comes in time; shows the log.
    pub fn wait_for_log(&self, text: &str) {
        let seen = wait_until(Duration::from_secs(20), || self.log().iter().any(|line| line.contains(text)));
        assert!(seen, "no log line with {text:?} in:\n{}", self.log().join("\n"));
    }

    /// Ends it with SIGTERM and waits for it.
    pub fn stop(mut self) -> (Builder, ExitStatus) {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        (self.into_builder(), status)
    }

    /// Ends it with SIGKILL.
    pub fn kill(mut self) -> Builder {
        self.signal(Signal::SIGKILL);
        let status = self.wait();
        assert_eq!(
            status.signal(),
            Some(Signal::SIGKILL as i32),
            "it had ended by itself:\n{}",
            self.log().join("\n")
        );
        self.into_builder()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process ids fit");
        kill(Pid::from_raw(pid), signal).expect("the process is ours");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = wait_until(Duration::from_secs(60), || {
            status = self.child.try_wait().expect("our own child");
            status.is_some()
        });
        assert!(ended, "it does not end:\n{}", self.log().join("\n"));
        status.expect("it has ended")
    }

    /// What it was made of, for the next start of a server that has ended.
    pub fn into_builder(mut self) -> Builder {
        let empty = Smtpd::relay_to(0);
        std::mem::replace(&mut self.builder, empty)
    }
}

impl Drop for Smtpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Builder {
    /// A variable of its environment.
    pub fn variable(mut self, name: &str, value: &str) -> Builder {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more argument of its command line.
    pub fn argument(mut self, argument: &str) -> Builder {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Number of shards.
    pub fn shards(mut self, shards: u32) -> Builder {
        self.shards = shards;
        self
    }

    /// More keys of the running file's server, in flow style: `phases: {data: {maxsize: 1000}}`.
    pub fn server(mut self, keys: &str) -> Builder {
        let _ = writeln!(self.server, "    {keys}");
        self
    }

    /// More keys of the startup file's server, in flow style.
    pub fn listen(mut self, keys: &str) -> Builder {
        let _ = writeln!(self.listen, "    {keys}");
        self
    }

    /// More lines of the running file, after its first transport group.
    pub fn running(mut self, yaml: &str) -> Builder {
        self.running.push_str(yaml);
        if !yaml.ends_with('\n') {
            self.running.push('\n');
        }
        self
    }

    /// One more listener, in flow style: `{address: 127.0.0.1, port: 2465, id: tls}`.
    pub fn listener(mut self, keys: &str) -> Builder {
        let _ = writeln!(self.listeners, "      - {keys}");
        self
    }

    /// More keys of the startup file, in flow style.
    pub fn startup(mut self, keys: &str) -> Builder {
        let _ = writeln!(self.startup, "{keys}");
        self
    }

    /// Other keys of the running file's root, whole lines, than those of the constructor.
    pub fn replace_running(mut self, lines: &str) -> Builder {
        self.running = lines.to_owned();
        self
    }

    /// More keys of the transport, in flow style.
    pub fn transport(mut self, keys: &str) -> Builder {
        self.transport = format!("{}\n        {keys}", self.transport);
        self
    }

    /// The transport's `connection` block instead of its own.
    pub fn replace_connection(mut self, block: &str) -> Builder {
        let rest = self.transport.find('\n').map_or("", |end| &self.transport[end..]);
        self.transport = format!("{block}{rest}");
        self
    }

    /// Another `spool` block of the startup file.
    pub fn replace_spool(mut self, block: &str) -> Builder {
        self.spool_lines = Some(block.to_owned());
        self
    }

    /// What its sockets and files are driven by: `auto`, `uring` or `epoll`.
    pub fn driver(mut self, driver: &'static str) -> Builder {
        self.driver = driver;
        self
    }

    /// More keys of the startup file's environment, in flow style.
    pub fn environment(mut self, keys: &str) -> Builder {
        let _ = writeln!(self.environment, "  {keys}");
        self
    }

    /// More keys of its control socket, in flow style: `, chmod: \"0660\"`.
    pub fn control_keys(mut self, keys: &'static str) -> Builder {
        self.control = keys;
        self
    }

    /// What is in the suspend file.
    pub fn suspends(mut self, yaml: Option<&str>) -> Builder {
        self.suspends = yaml.map(str::to_owned);
        self
    }

    /// Nothing is said about retries.
    pub fn without_retry(mut self) -> Builder {
        self.retry = "";
        self
    }

    /// The server names no transport for its recipients.
    pub fn without_server_transport(mut self) -> Builder {
        self.server_transport = "";
        self
    }

    /// Another spool directory.
    pub fn spool(mut self, path: &Path) -> Builder {
        self.spool = path.to_owned();
        self
    }

    /// Where it will listen.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Takes commands elsewhere: the value of `environment.controlsocket`, in flow style.
    pub fn replace_control_socket(mut self, yaml: &str) -> Builder {
        self.control_elsewhere = Some(yaml.to_owned());
        self
    }

    /// Where it will take commands, unless it is told otherwise.
    pub fn control_socket(&self) -> PathBuf {
        self.dir().join("smtpd.ctl")
    }

    /// Writes its files and gives the path of the startup file.
    pub fn write_files(&self) -> PathBuf {
        let dir = self.dir.path();
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).expect("a temporary directory can be written");
            path
        };
        let (port, shards) = (self.port, self.shards);
        let spool = format!("spool: {{path: \"{}\"}}", self.spool.display());
        let spool = self.spool_lines.as_ref().unwrap_or(&spool);
        let control = format!("{{path: \"{}\"{}}}", self.control_socket().display(), self.control);
        let startup = format!(
            "version: \"6.10\"\n\
             servers:\n  - id: default\n    listeners:\n      - {{address: 127.0.0.1, port: {port}}}\n{listeners}{listen}\
             {spool}\n\
             {more_startup}environment:\n  shards: {shards}\n  driver: {driver}\n  appconf: \"{app}\"\n  suspendconf: \"{suspend}\"\n\
             \x20 controlsocket: {control}\n{more}",
            app = dir.join("smtpd-app.yaml").display(),
            suspend = dir.join("smtpd-suspend.yaml").display(),
            control = self.control_elsewhere.clone().unwrap_or(control),
            driver = self.driver,
            listen = self.listen,
            listeners = self.listeners,
            more_startup = self.startup,
            more = self.environment,
        );
        let running = format!(
            "version: \"6.10\"\n\
             servers:\n  - id: default\n{server_transport}    hostname: mx.test.example\n{server}\
             transportgroups:\n  - id: default\n{retry}    transports:\n      - id: out\n        {transport}\n{running}",
            running = self.running,
            server = self.server,
            server_transport = self.server_transport,
            transport = self.transport,
            retry = self.retry,
        );
        write("smtpd-app.yaml", &running);
        match &self.suspends {
            Some(yaml) => drop(write("smtpd-suspend.yaml", yaml)),
            None => drop(std::fs::remove_file(dir.join("smtpd-suspend.yaml"))),
        }
        write("smtpd.yaml", &startup)
    }

    /// Starts it and waits until it takes connections.
    pub fn start(self) -> Smtpd {
        let mut server = self.launch();
        let mut ended = None;
        let up = wait_until(Duration::from_secs(30), || {
            ended = server.child.try_wait().expect("our own child");
            ended.is_some() || server.log().iter().any(|line| line.contains("Started"))
        });
        assert!(up && ended.is_none(), "it did not start ({ended:?}):\n{}", server.log().join("\n"));
        server
    }

    /// Starts it and does not wait.
    pub fn launch(self) -> Smtpd {
        let config = self.write_files();
        let mut command = Command::new(program("smtpd"));
        command
            .arg("-f")
            .arg("-c")
            .arg(config)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().expect("smtpd can be started");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("standard error is a pipe")).lines();
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                writer.lock().expect("no test thread panics while logging").push(line);
            }
        });
        Smtpd { builder: self, child, log }
    }
}
