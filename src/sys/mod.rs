//! The fence: every `unsafe` block of the program is in this folder, behind functions that are
//! safe to call with any argument.
#![allow(unsafe_code)]

pub(crate) mod clock;
pub(crate) mod env;
pub(crate) mod exec;
pub(crate) mod fd;
pub(crate) mod fork;
pub(crate) mod lmdb;
pub(crate) mod memory;
pub(crate) mod orphan;
pub(crate) mod pidfd;
pub(crate) mod proc;
pub(crate) mod region;
pub(crate) mod shm;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod stack;
pub(crate) mod title;
pub(crate) mod user;
pub(crate) mod wait;
