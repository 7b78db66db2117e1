//! Which statement counts for a key: the last one, the layers being in order.

use super::key::{Origin, Statement};
use super::problem::Problem;

/// What was said last and well for each key.
pub(super) struct Winners<'a, T: 'static>(Vec<&'a Statement<T>>);

impl<'a, T: Clone> Winners<'a, T> {
    /// Reads every statement, also those that a higher layer overrules: a mistake is a mistake.
    pub(super) fn of(
        statements: &'a [Statement<T>],
        unsaid: &T,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut scratch = unsaid.clone();
        let mut last: Vec<&Statement<T>> = Vec::new();
        for statement in statements {
            if !statement.is_default() {
                problems.extend(statement.apply(&mut scratch).err());
            }
            last.retain(|earlier| !std::ptr::eq(earlier.key, statement.key));
            last.push(statement);
        }
        last.retain(|statement| !statement.is_default());
        Self(last)
    }

    /// Sets them in `target`.
    pub(super) fn apply(&self, target: &mut T, problems: &mut Vec<Problem>) {
        problems.extend(
            self.0
                .iter()
                .filter_map(|statement| statement.apply(target).err()),
        );
    }

    /// Who said a key.
    pub(super) fn origin(&self, section: &str, name: &str) -> Option<&'a Origin> {
        let found = self
            .0
            .iter()
            .find(|statement| statement.key.is_named(section, name));
        found.map(|statement| &statement.origin)
    }
}
