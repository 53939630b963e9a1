//! The server: wires engine, net, spool, queue and config into shards.
