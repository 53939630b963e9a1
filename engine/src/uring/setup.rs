//! Whether this kernel will do, and opening a ring.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;

use io_uring::{IoUring, Probe, opcode};

use super::{BUFFER_GROUP, Small, Uring};
use crate::boot::Unsupported;
use crate::limits;
use crate::os;
use crate::os::bufring::BufRing;
use crate::os::pool::Pools;
use crate::os::signal::signal_fd;
use crate::os::socket::new_bell;
use crate::shard::Process;

/// The first kernel with all that the driver needs: deferred task work, multishot receive, provided buffer rings.
const MINIMUM_KERNEL: (u32, u32) = (6, 1);

/// The first kernel that counts rings as locked memory again.
const COUNTS_RINGS: (u32, u32) = (6, 14);

/// What the driver cannot do without.
const OPERATIONS: [(u8, &str); 11] = [
    (opcode::AcceptMulti::CODE, "IORING_OP_ACCEPT"),
    (opcode::RecvMulti::CODE, "IORING_OP_RECV"),
    (opcode::Send::CODE, "IORING_OP_SEND"),
    (opcode::SendMsg::CODE, "IORING_OP_SENDMSG"),
    (opcode::Connect::CODE, "IORING_OP_CONNECT"),
    (opcode::Read::CODE, "IORING_OP_READ"),
    (opcode::Write::CODE, "IORING_OP_WRITE"),
    (opcode::Fsync::CODE, "IORING_OP_FSYNC"),
    (opcode::AsyncCancel::CODE, "IORING_OP_ASYNC_CANCEL"),
    (opcode::Close::CODE, "IORING_OP_CLOSE"),
    (opcode::MsgRingData::CODE, "IORING_OP_MSG_RING"),
];

/// What the rings of so many threads take of the memory that a process may lock, in bytes.
pub(crate) fn rings_locked_bytes(threads: usize) -> u64 {
    threads as u64 * limits::RINGS_LOCKED_BYTES
}

/// Whether this machine can run the driver with so many threads.
pub(crate) fn probe(threads: usize) -> Result<(), Unsupported> {
    let release = kernel_release();
    if parse_release(&release).is_some_and(|version| version < MINIMUM_KERNEL) {
        return Err(too_old(&release, "it is older than what io_uring needs to be here"));
    }
    let memory = Memory::of(threads);
    if parse_release(&release) >= Some(COUNTS_RINGS) && !os::may_lock_memory() && !memory.suffices() {
        return Err(too_little(&memory, "there is too little memory for io_uring"));
    }
    let explain = |error: io::Error| explain_setup(&error, disabled().as_deref(), &release, memory);
    // Small: only whether it can be had counts.
    let ring = build(8, 16).map_err(explain)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| too_old(&release, &error.to_string()))?;
    let missing: Vec<&str> =
        OPERATIONS.iter().filter(|(code, _)| !probe.is_supported(*code)).map(|(_, name)| *name).collect();
    if !missing.is_empty() {
        return Err(too_old(&release, &format!("it has no {}", missing.join(", "))));
    }
    let params = ring.params();
    let features = [
        (params.is_feature_nodrop(), "IORING_FEAT_NODROP"),
        (params.is_feature_ext_arg(), "IORING_FEAT_EXT_ARG"),
        (params.is_feature_submit_stable(), "IORING_FEAT_SUBMIT_STABLE"),
        (params.is_feature_fast_poll(), "IORING_FEAT_FAST_POLL"),
        (params.is_feature_skip_cqe_on_success(), "IORING_FEAT_CQE_SKIP"),
    ];
    if let Some((_, name)) = features.iter().find(|(present, _)| !present) {
        return Err(too_old(&release, &format!("it has no {name}")));
    }
    let buffers = BufRing::new(os::bufring::Sizes { count: 8, buffer_bytes: 4096, low: 0, heap_limit: 0 });
    let registered = register(&ring, &buffers);
    drop(ring);
    drop(buffers);
    registered.map_err(explain)
}

fn too_old(release: &str, why: &str) -> Unsupported {
    let (major, minor) = MINIMUM_KERNEL;
    Unsupported {
        cause: format!("kernel {release} will not do: {why}"),
        remedy: format!("run Linux {major}.{minor} or newer"),
    }
}

/// What may be locked, and what the rings of all threads want of it.
#[derive(Clone, Copy)]
struct Memory {
    limit_bytes: u64,
    need_bytes: u64,
    threads: usize,
}

impl Memory {
    fn of(threads: usize) -> Memory {
        let limit_bytes = os::memlock_limit().unwrap_or(u64::MAX);
        Memory { limit_bytes, need_bytes: rings_locked_bytes(threads), threads }
    }

    /// With a ring more: the kernel gives back what a closed one took some time after that.
    fn suffices(&self) -> bool {
        self.limit_bytes >= self.need_bytes + limits::RINGS_LOCKED_BYTES
    }
}

fn too_little(memory: &Memory, what: &str) -> Unsupported {
    Unsupported {
        cause: format!("{what}: {memory}, and other processes of the user count, too"),
        remedy: "raise the limit (systemd: LimitMEMLOCK=infinity, shell: ulimit -l unlimited), or the memory limit of \
                 the control group"
            .into(),
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Memory { limit_bytes, need_bytes, threads } = self;
        match limit_bytes {
            &u64::MAX => f.write_str("locked memory has no limit")?,
            limit_bytes => write!(f, "the limit of locked memory is {limit_bytes} bytes")?,
        }
        write!(f, ", the rings of {threads} threads take {need_bytes}")
    }
}

/// What `io_uring_setup` (or registering buffers) means by its error.
fn explain_setup(error: &io::Error, disabled: Option<&str>, release: &str, memory: Memory) -> Unsupported {
    let unsupported = |cause: String, remedy: &str| Unsupported { cause, remedy: remedy.into() };
    match (error.raw_os_error(), disabled) {
        (Some(libc::EPERM), Some("2")) => unsupported(
            "io_uring_setup gave EPERM: kernel.io_uring_disabled is 2".into(),
            "allow it with: sysctl kernel.io_uring_disabled=0",
        ),
        (Some(libc::EPERM), Some("1")) => unsupported(
            "io_uring_setup gave EPERM: kernel.io_uring_disabled is 1 and this user may not use it".into(),
            "allow it with: sysctl kernel.io_uring_disabled=0, or put the user into the group that \
             kernel.io_uring_group names",
        ),
        (Some(libc::EPERM | libc::EACCES), _) => unsupported(
            format!("io_uring_setup gave {}: a seccomp filter or security module forbids it", name(error)),
            "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile \
             (docker: --security-opt seccomp=PROFILE; systemd: SystemCallFilter=@io-event)",
        ),
        (Some(libc::ENOSYS), _) => unsupported(
            format!(
                "io_uring_setup gave ENOSYS: kernel {release} was built without io_uring, or a seccomp filter hides it"
            ),
            "run a kernel with CONFIG_IO_URING, and allow the io_uring system calls in the seccomp profile",
        ),
        (Some(libc::ENOMEM), _) => too_little(&memory, "io_uring_setup gave ENOMEM"),
        (Some(libc::EMFILE | libc::ENFILE), _) => unsupported(
            format!("io_uring_setup gave {}: no file descriptors are left", name(error)),
            "raise the limit of open files (systemd: LimitNOFILE, shell: ulimit -n)",
        ),
        (Some(libc::EINVAL), _) => too_old(release, "io_uring_setup gave EINVAL"),
        _ => unsupported(
            format!("io_uring_setup failed on kernel {release}: {error}"),
            "see the manual page io_uring_setup(2)",
        ),
    }
}

fn name(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => "EPERM",
        Some(libc::EACCES) => "EACCES",
        Some(libc::EMFILE) => "EMFILE",
        Some(libc::ENFILE) => "ENFILE",
        _ => "an error",
    }
}

fn disabled() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok().map(|text| text.trim().to_owned())
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// Major and minor of "6.18.44-something".
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn build(submissions: u32, completions: u32) -> io::Result<IoUring> {
    IoUring::builder()
        .dontfork()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(completions)
        .setup_clamp()
        .build(submissions)
}

fn register(ring: &IoUring, buffers: &BufRing) -> io::Result<()> {
    let (entries, count) = buffers.registration();
    // SAFETY: the entries stay where they are until after the ring has closed.
    unsafe { ring.submitter().register_buf_ring_with_flags(entries, count, BUFFER_GROUP, 0) }
}

impl Uring {
    /// Opens the ring of thread `me`, which is the calling thread: no other may use it.
    pub(crate) fn open(
        process: Arc<Process>,
        me: usize,
        pools: Arc<Pools>,
        epoch_ns: u64,
        signals: &[i32],
    ) -> io::Result<Uring> {
        let explain = |error: io::Error| {
            let (release, memory) = (kernel_release(), Memory::of(process.threads()));
            let why = explain_setup(&error, disabled().as_deref(), &release, memory);
            io::Error::new(error.kind(), why)
        };
        let ring = build(limits::SUBMISSION_ENTRIES, limits::COMPLETION_ENTRIES).map_err(explain)?;
        let buffers = Rc::new(BufRing::for_a_shard());
        register(&ring, &buffers).map_err(explain)?;
        let bell = new_bell()?;
        assert!(process.mailboxes[me].bell.set(bell).is_ok(), "one ring per thread");
        let uring = Uring {
            no_iowait: ring.params().is_feature_no_iowait(),
            ring: RefCell::new(ring),
            buffers,
            small: Box::leak(Box::new(Small {
                bell: UnsafeCell::new(0),
                signal: UnsafeCell::new(MaybeUninit::uninit()),
            })),
            me,
            pools,
            epoch_ns,
            overflow: RefCell::default(),
            closing: RefCell::default(),
            ready: RefCell::default(),
            starved: RefCell::default(),
            reaped: RefCell::default(),
            signals: Cell::new(None),
            signal_fd: if signals.is_empty() { None } else { Some(signal_fd(signals)?) },
            process,
        };
        uring.process.set_ring_fd(me, uring.ring_fd());
        uring.arm_bell();
        Ok(uring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_its_cause_and_its_remedy() {
        let cases = [
            (libc::EPERM, Some("2"), "kernel.io_uring_disabled is 2", "sysctl kernel.io_uring_disabled=0"),
            (libc::EPERM, Some("1"), "kernel.io_uring_disabled is 1", "kernel.io_uring_group"),
            (libc::EPERM, Some("0"), "EPERM: a seccomp filter", "seccomp profile"),
            (libc::EPERM, None, "EPERM: a seccomp filter", "SystemCallFilter"),
            (libc::EACCES, None, "EACCES: a seccomp filter", "seccomp profile"),
            (libc::ENOSYS, None, "built without io_uring", "CONFIG_IO_URING"),
            (
                libc::ENOMEM,
                Some("0"),
                "the limit of locked memory is 65536 bytes, the rings of 3 threads take 638976",
                "LimitMEMLOCK",
            ),
            (libc::EMFILE, None, "EMFILE", "LimitNOFILE"),
            (libc::EINVAL, None, "kernel 5.15.0 will not do", "Linux 6.1 or newer"),
            (libc::EIO, None, "kernel 5.15.0", "io_uring_setup(2)"),
        ];
        for (errno, disabled, cause, remedy) in cases {
            let memory = Memory { limit_bytes: 65_536, need_bytes: rings_locked_bytes(3), threads: 3 };
            let said = explain_setup(&io::Error::from_raw_os_error(errno), disabled, "5.15.0", memory);
            assert!(said.cause.contains(cause), "{} lacks {cause:?}", said.cause);
            assert!(said.remedy.contains(remedy), "{} lacks {remedy:?}", said.remedy);
        }
    }

    #[test]
    fn kernel_releases_are_compared_as_numbers() {
        assert_eq!(parse_release("6.18.44-fc"), Some((6, 18)));
        assert_eq!(parse_release("5.4.0-1+deb"), Some((5, 4)));
        assert_eq!(parse_release("6.1-rc2"), Some((6, 1)));
        assert_eq!(parse_release("weird"), None);
        assert!(parse_release("6.0.9") < Some(MINIMUM_KERNEL));
        assert!(parse_release("6.10.0") > Some(MINIMUM_KERNEL));
    }
}
