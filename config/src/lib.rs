//! YAML to typed configuration, with errors that point at the line.
