//! Binding: an address is taken exclusively first, then shared among the slots.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::holder::{self, Holder};

/// Why an address cannot be listened at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NetError {
    /// Somebody else listens there.
    #[error("cannot listen at {address}: it is in use{}", holder_text(.holder.as_ref()))]
    InUse {
        /// The address, as it was asked for.
        address: String,
        /// Who listens there, when `/proc` tells.
        holder: Option<Holder>,
    },
    /// The path holds something that is no socket, and it is not ours to remove.
    #[error("cannot listen at unix:{}: the file is no socket; remove it or choose another path", .0.display())]
    NoSocket(PathBuf),
    /// Anything else.
    #[error("cannot listen at {address}{}", hint(.source))]
    Bind {
        /// The address, as it was asked for.
        address: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

fn holder_text(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!(" by {holder}; stop it or choose another address"),
        None => "; choose another address".to_owned(),
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need root or the capability CAP_NET_BIND_SERVICE)"
        }
        io::ErrorKind::AddrNotAvailable => " (no interface of this machine has that address)",
        _ => "",
    }
}

/// An address that nobody else can take any more, though no slot listens there yet.
#[derive(Debug)]
pub(super) struct Reservation {
    /// Listens without ever being read, until the slots' sockets stand.
    _socket: Socket,
    /// The address, with the port the kernel chose when 0 was asked for.
    pub(super) address: SocketAddr,
}

/// Takes `address` without `SO_REUSEPORT`, so that it fails when anybody listens there, another
/// server of our own user among them; only then is the socket made shareable.
pub(super) fn reserve(address: SocketAddr) -> Result<Reservation, NetError> {
    let attempt = || -> io::Result<Reservation> {
        let socket = tcp_socket(address)?;
        socket.bind(&address.into())?;
        // Listening makes the reservation exclusive: two sockets with SO_REUSEADDR may share an
        // address until one of them listens.
        socket.listen(1)?;
        socket.set_reuse_port(true)?;
        let address = socket.local_addr()?.as_socket().unwrap_or(address);
        Ok(Reservation {
            _socket: socket,
            address,
        })
    };
    attempt().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => NetError::InUse {
            address: address.to_string(),
            holder: holder::of(address),
        },
        _ => NetError::Bind {
            address: address.to_string(),
            source,
        },
    })
}

/// One more listening socket at `address`; the others there have `SO_REUSEPORT` too.
pub(super) fn listen(address: SocketAddr, backlog: u32) -> Result<OwnedFd, NetError> {
    let attempt = || -> io::Result<OwnedFd> {
        let socket = tcp_socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    attempt().map_err(|source| NetError::Bind {
        address: address.to_string(),
        source,
    })
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?; // connections of a previous run may still be in TIME_WAIT
    if address.is_ipv6() {
        socket.set_only_v6(true)?; // so that 0.0.0.0 and [::] can both be listed
    }
    Ok(socket)
}

/// Whether somebody listens at the socket file `path`. Does not wait: a holder whose queue is full
/// is there all the same.
fn is_served(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error), // of another kind, or closed to us: not ours to remove
    }
}

/// A listening socket at `path`; a socket file that nobody serves any more is replaced.
pub(super) fn listen_unix(path: &Path, backlog: u32) -> Result<OwnedFd, NetError> {
    let address = || format!("unix:{}", path.display());
    let failed = |source| NetError::Bind {
        address: address(),
        source,
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(NetError::NoSocket(path.to_owned()));
        }
        Ok(_) if is_served(path).map_err(failed)? => {
            return Err(NetError::InUse {
                address: address(),
                holder: None,
            });
        }
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // As nginx does: whoever may enter the folder may connect, such as a proxy of another user.
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    // std listens with a backlog of its own; asking again only changes the number.
    let socket = Socket::from(OwnedFd::from(listener));
    socket
        .listen(i32::try_from(backlog).unwrap_or(i32::MAX))
        .map_err(failed)?;
    Ok(socket.into())
}

/// Changes how many connections may wait at a socket that listens already (listen(2)).
pub(super) fn set_backlog(socket: &OwnedFd, backlog: u32) {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    if let Err(error) = SockRef::from(socket).listen(backlog) {
        tracing::warn!(%error, backlog, "cannot change the backlog");
    }
}
