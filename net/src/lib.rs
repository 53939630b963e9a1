//! What crosses the wire: SMTP and DNS as sans-I/O state machines.
