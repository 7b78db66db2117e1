//! Tables of counters: each counter is named once, and all else follows from its place.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that is kept in consecutive words.
pub(crate) trait Cells: Sized {
    /// How many.
    const WIDTH: usize;

    /// An owned copy of the first [`Self::WIDTH`] words; those that are missing count as 0.
    fn of(words: &[AtomicU64]) -> Self;

    /// The sum of both.
    #[must_use]
    fn plus(&self, other: &Self) -> Self;
}

impl Cells for u64 {
    const WIDTH: usize = 1;

    fn of(words: &[AtomicU64]) -> Self {
        words.first().map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn plus(&self, other: &Self) -> Self {
        self.wrapping_add(*other)
    }
}

impl<const N: usize> Cells for [u64; N] {
    const WIDTH: usize = N;

    fn of(words: &[AtomicU64]) -> Self {
        std::array::from_fn(|index| u64::of(words.get(index..).unwrap_or_default()))
    }

    fn plus(&self, other: &Self) -> Self {
        std::array::from_fn(|index| self[index].plus(&other[index]))
    }
}

/// Makes a struct whose fields are kept in consecutive words, in their order, with `AT`, which
/// says where each of them begins. Fields are only ever added at the end of the outermost table:
/// two images of the program may share a scoreboard.
macro_rules! cells {
    (
        $(#[$of_all:meta])*
        struct $name:ident at $places:ident {
            $($(#[$of_one:meta])* $field:ident: $kind:ty,)+
        }
    ) => {
        $(#[$of_all])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub(crate) struct $name {
            $($(#[$of_one])* pub(crate) $field: $kind,)+
        }

        /// Where each field begins, in words.
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $places {
            $(pub(super) $field: usize,)+
        }

        impl $name {
            /// Where each field begins, in words.
            #[allow(unused_assignments, reason = "nothing comes after the last field")]
            pub(super) const AT: $places = {
                let mut next = 0;
                $places {
                    $($field: {
                        let place = next;
                        next += <$kind as $crate::scoreboard::cells::Cells>::WIDTH;
                        place
                    },)+
                }
            };
        }

        impl $crate::scoreboard::cells::Cells for $name {
            const WIDTH: usize = 0 $(+ <$kind as $crate::scoreboard::cells::Cells>::WIDTH)+;

            fn of(words: &[std::sync::atomic::AtomicU64]) -> Self {
                let from = |place: usize| words.get(place..).unwrap_or_default();
                Self { $($field: $crate::scoreboard::cells::Cells::of(from(Self::AT.$field)),)+ }
            }

            fn plus(&self, other: &Self) -> Self {
                use $crate::scoreboard::cells::Cells;
                Self { $($field: Cells::plus(&self.$field, &other.$field),)+ }
            }
        }
    };
}
pub(super) use cells;

#[cfg(test)]
mod tests {
    use super::*;

    cells! {
        /// One within another.
        struct Inner at InnerPlaces {
            /// One word.
            one: u64,
            /// Three.
            three: [u64; 3],
        }
    }

    cells! {
        /// The table.
        struct Outer at OuterPlaces {
            /// Words 0 and 1.
            first: [u64; 2],
            /// Words 2 to 5.
            inner: Inner,
            /// Word 6.
            last: u64,
        }
    }

    #[test]
    fn every_field_has_its_place_and_sums_are_made_word_by_word() {
        let (at, inner) = (Outer::AT, Inner::AT);
        assert_eq!((at.first, at.inner, at.last), (0, 2, 6));
        assert_eq!((inner.one, inner.three), (0, 1));
        assert_eq!(Outer::WIDTH, 7);
        let words: Vec<_> = (10..17).map(AtomicU64::new).collect();
        let read = Outer::of(&words);
        assert_eq!(read.first, [10, 11]);
        assert_eq!((read.inner.one, read.inner.three), (12, [13, 14, 15]));
        assert_eq!(read.last, 16);
        let sum = read.plus(&read);
        assert_eq!(sum.inner.three, [26, 28, 30]);
        assert_eq!((sum.first, sum.last), ([20, 22], 32));
    }

    #[test]
    fn words_that_are_missing_count_as_nothing() {
        let words = [AtomicU64::new(1), AtomicU64::new(2), AtomicU64::new(3)];
        let read = Outer::of(&words);
        assert_eq!((read.first, read.inner.one, read.last), ([1, 2], 3, 0));
    }
}
