//! placeholder

/// placeholder
pub(crate) trait Workload {}
