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
use crate::os::bufring::BufRing;
use crate::os::pool::Pools;
use crate::os::signal::signal_fd;
use crate::os::socket::new_bell;
use crate::shard::Process;

/// The first kernel with all that the driver needs: deferred task work, multishot receive, provided buffer rings.
const MINIMUM_KERNEL: (u32, u32) = (6, 1);

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

/// Whether this machine can run the driver.
pub(crate) fn probe() -> Result<(), Unsupported> {
    let release = kernel_release();
    if parse_release(&release).is_some_and(|version| version < MINIMUM_KERNEL) {
        return Err(too_old(&release, "it is older than what io_uring needs to be here"));
    }
    // Small: only whether it can be had counts.
    let ring = build(8, 16).map_err(|error| explain_setup(&error, disabled().as_deref(), &release))?;
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
    let buffers =
        BufRing::new(crate::os::bufring::Sizes { count: 8, buffer_bytes: 4096, low: 0, heap_limit: 0 });
    let registered = register(&ring, &buffers);
    drop(ring);
    drop(buffers);
    registered.map_err(|error| explain_setup(&error, disabled().as_deref(), &release))
}

fn too_old(release: &str, why: &str) -> Unsupported {
    let (major, minor) = MINIMUM_KERNEL;
    Unsupported {
        cause: format!("kernel {release} will not do: {why}"),
        remedy: format!("run Linux {major}.{minor} or newer"),
    }
}

/// What `io_uring_setup` (or registering buffers) means by its error.
fn explain_setup(error: &io::Error, disabled: Option<&str>, release: &str) -> Unsupported {
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
        (Some(libc::ENOMEM), _) => unsupported(
            "io_uring_setup gave ENOMEM: the limit of locked memory or of the control group is too low"
                .into(),
            "raise it (systemd: LimitMEMLOCK=infinity, shell: ulimit -l unlimited), or the memory limit of the \
             control group",
        ),
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
        let ring = build(limits::SUBMISSION_ENTRIES, limits::COMPLETION_ENTRIES)?;
        let buffers = Rc::new(BufRing::for_a_shard());
        register(&ring, &buffers)?;
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
            (libc::ENOMEM, Some("0"), "locked memory", "LimitMEMLOCK"),
            (libc::EMFILE, None, "EMFILE", "LimitNOFILE"),
            (libc::EINVAL, None, "kernel 5.15.0 will not do", "Linux 6.1 or newer"),
            (libc::EIO, None, "kernel 5.15.0", "io_uring_setup(2)"),
        ];
        for (errno, disabled, cause, remedy) in cases {
            let said = explain_setup(&io::Error::from_raw_os_error(errno), disabled, "5.15.0");
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
