//! What must survive: logs, segments, records, group commit, recovery.
