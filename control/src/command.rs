//! The table of commands: what each letter means, and whether a request body follows it.
//!
//! The framing depends on it, as a command without a body carries no length either. Letters are those of the documented
//! interface; digits are commands that this project adds.

/// A command of the control protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Command {
    /// `a`: starts a live stage.
    StageStart,
    /// `b`: status of the live stage.
    StageStatus,
    /// `c`: ends the live stage.
    StageCancel,
    /// `d`: asks whether a script stands at a breakpoint.
    BreakPointPoll,
    /// `e`: waits until one does.
    BreakPointWait,
    /// `f`: lets it go on.
    BreakPointContinue,
    /// `g`: lists caches.
    CacheList,
    /// `h`: clears caches.
    CacheClear,
    /// `k`: reads the system's resolver configuration again.
    ResolverReload,
    /// `n`: licensed users, of old.
    Users,
    /// `o`: reads the suspend file again.
    SuspendReload,
    /// `p`: reads the policy file again.
    PolicyReload,
    /// `q`: counters.
    ProcessStats,
    /// `r`: reads the running configuration again.
    ConfigReload,
    /// `s`: lists suspends.
    SuspendList,
    /// `t`: adds a suspend.
    SuspendAdd,
    /// `O`: changes a suspend.
    SuspendUpdate,
    /// `u`: removes suspends.
    SuspendDelete,
    /// `v`: lists policies, conditions and counters.
    PolicyList,
    /// `w`: adds a condition.
    PolicyAdd,
    /// `P`: changes a condition.
    PolicyUpdate,
    /// `x`: removes conditions.
    PolicyDelete,
    /// `B`: fills a rate.
    PolicyRefill,
    /// `y`: fetches a value of shared memory.
    MemoryFetch,
    /// `z`: stores one.
    MemoryStore,
    /// `A`: removes one.
    MemoryDelete,
    /// `K`: lists keys of shared memory.
    MemoryList,
    /// `C`: clears the resolver's cache.
    ResolverClear,
    /// `D`: distribution of what is queued.
    QueueGroupBy,
    /// `F`: lists what is queued.
    QueueList,
    /// `G`: updates what is queued.
    QueueUpdate,
    /// `E`: imports an unloaded file.
    QueueImport,
    /// `J`: unloads what is queued into files.
    QueueUnload,
    /// `I`: use of quotas.
    QueueQuota,
    /// `H`: reads the delivery file again.
    DeliveryReload,
    /// `L`: the next hop that a message would take.
    ResolverQuery,
    /// `M`: a plugin's command.
    PluginCommand,
    /// `Q`: running lookups.
    ResolverList,
    /// `R`: waiting lookups.
    ResolverQueue,
    /// `1`: a row of figures for each shard.
    ShardStatus,
    /// `2`: what would become of a recipient.
    QueueExplain,
    /// `3`: follows SMTP dialogues.
    Trace,
    /// `5`: what a reload would change.
    ReloadCheck,
    /// `4`: lets a server that was started frozen take and send mail.
    Thaw,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The byte that stands for it.
    pub letter: u8,
    /// What it is.
    pub command: Command,
    /// Message of the request; none means that neither length nor body follows the letter.
    pub request: Option<&'static str>,
    /// Message of the answer; none means an empty one.
    pub response: Option<&'static str>,
    /// What it does, for the reference.
    pub purpose: &'static str,
}

impl Command {
    /// The command of a letter.
    #[must_use]
    pub fn of(letter: u8) -> Option<Self> {
        TABLE.iter().find(|row| row.letter == letter).map(|row| row.command)
    }

    /// Its row of the table.
    #[must_use]
    pub fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.command == self).expect("each command has a row: a test sees to it")
    }

    /// The byte that stands for it.
    #[must_use]
    pub fn letter(self) -> u8 {
        self.row().letter
    }

    /// Whether a length and a body follow the letter.
    #[must_use]
    pub fn has_body(self) -> bool {
        self.row().request.is_some()
    }
}

const fn row(
    letter: u8,
    command: Command,
    request: Option<&'static str>,
    response: Option<&'static str>,
    purpose: &'static str,
) -> Row {
    Row { letter, command, request, response, purpose }
}

/// All commands of `smtpd`.
pub const TABLE: &[Row] = &[
    row(b'a', Command::StageStart, Some("ConfigGreenDeployRequest"), None, "Start the live stage"),
    row(b'b', Command::StageStatus, None, Some("ConfigGreenStatusResponse"), "Status of the live stage"),
    row(b'c', Command::StageCancel, None, None, "End the live stage"),
    row(
        b'd',
        Command::BreakPointPoll,
        Some("HSLBreakPointRequest"),
        Some("HSLBreakPointResponse"),
        "Ask for a breakpoint",
    ),
    row(b'e', Command::BreakPointWait, None, Some("HSLBreakPointResponse"), "Wait for a breakpoint"),
    row(b'f', Command::BreakPointContinue, None, None, "Go on after a breakpoint"),
    row(b'g', Command::CacheList, None, Some("HSLCacheResponse"), "List caches"),
    row(
        b'h',
        Command::CacheClear,
        Some("HSLCacheClearRequest"),
        Some("HSLCacheClearResponse"),
        "Clear caches",
    ),
    row(b'k', Command::ResolverReload, None, None, "Read the system's resolver configuration again"),
    row(b'n', Command::Users, None, Some("UsersResponse"), "Licensed users; always none"),
    row(b'o', Command::SuspendReload, None, None, "Reload the suspend file"),
    row(b'p', Command::PolicyReload, None, None, "Reload the policy file"),
    row(b'q', Command::ProcessStats, None, Some("ProcessStatsResponse"), "Counters"),
    row(b'r', Command::ConfigReload, None, None, "Reload the running configuration"),
    row(b's', Command::SuspendList, Some("SuspendRequest"), Some("SuspendResponse"), "List suspends"),
    row(b't', Command::SuspendAdd, Some("SuspendAddRequest"), Some("SuspendAddResponse"), "Add a suspend"),
    row(
        b'O',
        Command::SuspendUpdate,
        Some("SuspendUpdateRequest"),
        Some("SuspendUpdateResponse"),
        "Change a suspend",
    ),
    row(
        b'u',
        Command::SuspendDelete,
        Some("SuspendDeleteRequest"),
        Some("SuspendDeleteResponse"),
        "Remove suspends",
    ),
    row(b'v', Command::PolicyList, None, Some("PolicyConditionResponse"), "List policies and conditions"),
    row(
        b'w',
        Command::PolicyAdd,
        Some("PolicyConditionAddRequest"),
        Some("PolicyConditionAddResponse"),
        "Add a condition",
    ),
    row(
        b'P',
        Command::PolicyUpdate,
        Some("PolicyConditionUpdateRequest"),
        Some("PolicyConditionUpdateResponse"),
        "Change a condition",
    ),
    row(
        b'x',
        Command::PolicyDelete,
        Some("PolicyConditionDeleteRequest"),
        Some("PolicyConditionDeleteResponse"),
        "Remove conditions",
    ),
    row(
        b'B',
        Command::PolicyRefill,
        Some("PolicyRateRefillRequest"),
        Some("PolicyRateRefillResponse"),
        "Fill a rate at once",
    ),
    row(
        b'y',
        Command::MemoryFetch,
        Some("HSLMemoryRequest"),
        Some("HSLMemoryResponse"),
        "Fetch from shared memory",
    ),
    row(
        b'z',
        Command::MemoryStore,
        Some("HSLMemoryStoreRequest"),
        Some("HSLMemoryStoreResponse"),
        "Store into shared memory",
    ),
    row(
        b'A',
        Command::MemoryDelete,
        Some("HSLMemoryDeleteRequest"),
        Some("HSLMemoryDeleteResponse"),
        "Remove from shared memory",
    ),
    row(
        b'K',
        Command::MemoryList,
        Some("HSLMemoryListRequest"),
        Some("HSLMemoryListResponse"),
        "List keys of shared memory",
    ),
    row(b'C', Command::ResolverClear, None, None, "Clear the resolver's cache"),
    row(
        b'D',
        Command::QueueGroupBy,
        Some("QueueGroupByRequest"),
        Some("QueueGroupByResponse"),
        "Distribution of the queue",
    ),
    row(b'F', Command::QueueList, Some("QueueListRequest"), Some("QueueListResponse"), "List the queue"),
    row(
        b'G',
        Command::QueueUpdate,
        Some("QueueUpdateRequest"),
        Some("QueueUpdateResponse"),
        "Update the queue",
    ),
    row(
        b'E',
        Command::QueueImport,
        Some("QueueImportRequest"),
        Some("QueueImportResponse"),
        "Import a queue file",
    ),
    row(
        b'J',
        Command::QueueUnload,
        Some("QueueUnloadRequest"),
        Some("QueueUnloadResponse"),
        "Unload into queue files",
    ),
    row(b'I', Command::QueueQuota, Some("QueueQuotaRequest"), Some("QueueQuotaResponse"), "Use of quotas"),
    row(b'H', Command::DeliveryReload, None, None, "Reload the delivery file"),
    row(
        b'L',
        Command::ResolverQuery,
        Some("ResolverQueryRequest"),
        Some("ResolverQueryResponse"),
        "Next hop of a message",
    ),
    row(
        b'M',
        Command::PluginCommand,
        Some("PluginCommandRequest"),
        Some("PluginCommandResponse"),
        "A plugin's command",
    ),
    row(b'Q', Command::ResolverList, None, Some("ResolverListResponse"), "Running lookups"),
    row(b'R', Command::ResolverQueue, None, Some("ResolverQueueResponse"), "Waiting lookups"),
    row(b'1', Command::ShardStatus, None, Some("ShardStatusResponse"), "Figures of each shard"),
    row(
        b'2',
        Command::QueueExplain,
        Some("QueueExplainRequest"),
        Some("QueueExplainResponse"),
        "What would become of a recipient",
    ),
    row(b'3', Command::Trace, Some("TraceRequest"), Some("TraceResponse"), "Follow SMTP dialogues"),
    row(b'4', Command::Thaw, None, None, "Let a frozen server run"),
    row(
        b'5',
        Command::ReloadCheck,
        Some("ReloadCheckRequest"),
        Some("ReloadCheckResponse"),
        "What a reload would change",
    ),
];
