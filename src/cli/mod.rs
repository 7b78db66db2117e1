//! wip
use crate::exit::Exit;
use crate::master::Workload;
pub(crate) fn run(_args: Vec<std::ffi::OsString>, _w: Box<dyn Workload>) -> Exit { Exit::Done }
