//! Result codes: those of servers (RFC 4511, appendix A), and those of the client's own, which are negative as in OpenLDAP.

pub(super) const SUCCESS: i32 = 0;
pub(super) const UNWILLING: i32 = 53;
pub(super) const SERVER_DOWN: i32 = -1;
pub(super) const LOCAL_ERROR: i32 = -2;
pub(super) const DECODING_ERROR: i32 = -4;
pub(super) const TIMEOUT: i32 = -5;
pub(super) const FILTER_ERROR: i32 = -7;
pub(super) const PARAM_ERROR: i32 = -9;
pub(super) const CONNECT_ERROR: i32 = -11;
pub(super) const NOT_SUPPORTED: i32 = -12;

const TEXTS: &[(i32, &str)] = &[
    (SUCCESS, "Success"),
    (1, "Operations error"),
    (2, "Protocol error"),
    (3, "Time limit exceeded"),
    (4, "Size limit exceeded"),
    (5, "Compare False"),
    (6, "Compare True"),
    (7, "Authentication method not supported"),
    (8, "Strong(er) authentication required"),
    (10, "Referral"),
    (11, "Administrative limit exceeded"),
    (12, "Critical extension is unavailable"),
    (13, "Confidentiality required"),
    (14, "SASL bind in progress"),
    (16, "No such attribute"),
    (17, "Undefined attribute type"),
    (18, "Inappropriate matching"),
    (19, "Constraint violation"),
    (20, "Type or value exists"),
    (21, "Invalid syntax"),
    (32, "No such object"),
    (33, "Alias problem"),
    (34, "Invalid DN syntax"),
    (36, "Alias dereferencing problem"),
    (48, "Inappropriate authentication"),
    (49, "Invalid credentials"),
    (50, "Insufficient access"),
    (51, "Server is busy"),
    (52, "Server is unavailable"),
    (UNWILLING, "Server is unwilling to perform"),
    (54, "Loop detected"),
    (64, "Naming violation"),
    (65, "Object class violation"),
    (66, "Operation not allowed on non-leaf"),
    (67, "Operation not allowed on RDN"),
    (68, "Already exists"),
    (69, "Cannot modify object class"),
    (71, "Operation affects multiple DSAs"),
    (80, "Internal (implementation specific) error"),
    (SERVER_DOWN, "Can't contact LDAP server"),
    (LOCAL_ERROR, "Local error"),
    (-3, "Encoding error"),
    (DECODING_ERROR, "Decoding error"),
    (TIMEOUT, "Timed out"),
    (-6, "Unknown authentication method"),
    (FILTER_ERROR, "Bad search filter"),
    (-8, "User cancelled operation"),
    (PARAM_ERROR, "Bad parameter to an ldap routine"),
    (-10, "Out of memory"),
    (CONNECT_ERROR, "Connect error"),
    (NOT_SUPPORTED, "Not Supported"),
];

/// For people.
pub(super) fn text(code: i32) -> &'static str {
    TEXTS.iter().find(|(known, _)| *known == code).map_or("Unknown error", |(_, text)| text)
}
