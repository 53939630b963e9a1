//! Every bound of the spool, in one place.
