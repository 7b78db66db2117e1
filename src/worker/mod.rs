//! A worker: one process, one thread, one runtime.
mod stack;
