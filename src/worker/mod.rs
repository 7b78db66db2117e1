//! A worker: one thread that serves.

mod connection;
