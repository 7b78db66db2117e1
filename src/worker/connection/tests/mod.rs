//! Real sockets, raw bytes, small limits. What is awaited is a fact (an answer, an end); the
//! outer time limit only fails a test that hangs.

mod drains;
mod ends;
mod limits;
mod parks;
mod rig;
mod talks;
