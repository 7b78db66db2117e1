//! How a handler finds the session of the request that it answers.
//!
//! A thread-local names the request whose turn it is, while its site is called or polled and no
//! longer. So nothing is put into requests that never ask, and no app can get hold of the session
//! of another request.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Request};

use super::slot::Slot;
use super::{SessionError, Sessions};

/// The sessions' part of a request.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) sessions: Arc<Sessions>,
    /// Made when it is first asked for.
    pub(super) slot: Option<Arc<Slot>>,
    /// Whether the client came by https.
    pub(super) is_secure: bool,
    /// Whether the path has sessions.
    pub(super) is_inside: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
    static ENABLED: Cell<bool> = const { Cell::new(false) };
}

/// Notes that this thread's requests have sessions, for a better word when there is none.
pub(super) fn enable() {
    ENABLED.set(true);
}

/// Lets `run` happen in the name of a request. Whatever happens, it is over when this returns.
pub(super) fn during<T>(current: &mut Option<Current>, run: impl FnOnce() -> T) -> T {
    struct Back<'a>(&'a mut Option<Current>);

    impl Drop for Back<'_> {
        fn drop(&mut self) {
            swap(self.0);
        }
    }

    swap(current);
    // The one that was there before lies in `current` meanwhile.
    let _back = Back(current);
    run()
}

fn swap(current: &mut Option<Current>) {
    CURRENT.with_borrow_mut(|held| std::mem::swap(held, current));
}

/// The slot of the request whose turn it is; `headers` are those of the request.
pub(super) fn slot(headers: &HeaderMap) -> Result<Arc<Slot>, SessionError> {
    CURRENT.with_borrow_mut(|held| {
        let Some(current) = held else {
            return Err(match ENABLED.get() {
                true => SessionError::NotHere,
                false => SessionError::NotEnabled,
            });
        };
        if !current.is_inside {
            return Err(SessionError::OutsidePath);
        }
        let slot = current
            .slot
            .get_or_insert_with(|| Slot::new(&current.sessions, headers, current.is_secure));
        Ok(Arc::clone(slot))
    })
}

/// What has the fields of a request: the request, or its [`Parts`].
pub trait RequestHead: sealed::Sealed {
    #[doc(hidden)]
    fn fields(&self) -> &HeaderMap;
}

mod sealed {
    /// Nobody else's types.
    pub trait Sealed {}
}

impl sealed::Sealed for Parts {}
impl<B> sealed::Sealed for Request<B> {}

impl RequestHead for Parts {
    fn fields(&self) -> &HeaderMap {
        &self.headers
    }
}

impl<B> RequestHead for Request<B> {
    fn fields(&self) -> &HeaderMap {
        self.headers()
    }
}
