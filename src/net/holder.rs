//! Who listens at an address, as far as `/proc` tells.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::unistd::Pid;

use crate::sys::proc;

/// The process that holds an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pid: i32,
    name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// Finds the process that listens at `address`, or at all addresses with that port.
pub(super) fn of(address: SocketAddr) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, address))
        .collect();
    let wanted: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let mut pids: Vec<i32> = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable(); // the oldest is the master, the others its workers
    let pid = pids.into_iter().find(|pid| holds_any(*pid, &wanted))?;
    let name = proc::command_name(Pid::from_raw(pid)).unwrap_or_else(|| "a process".to_owned());
    Some(Holder { pid, name })
}

fn holds_any(pid: i32, sockets: &[String]) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        sockets
            .iter()
            .any(|socket| target.as_os_str() == socket.as_str())
    })
}

/// The inodes in one of the kernel's tables (proc_net_tcp) that listen where `address` would.
fn listening_inodes(table: &str, address: SocketAddr) -> Vec<String> {
    const LISTEN: &str = "0A";
    let lines = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields.len() > 9 && fields[3] == LISTEN)
        .filter(|fields| parse(fields[1]).is_some_and(|held| overlaps(held, address)))
        .map(|fields| fields[9].to_owned())
        .collect()
}

/// Whether sockets at both addresses compete for connections.
pub(super) fn overlaps(held: SocketAddr, wanted: SocketAddr) -> bool {
    let (a, b) = (held.ip(), wanted.ip());
    held.port() == wanted.port() && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// Reads `0100007F:1F90`: the address in host byte order by 32-bit words, the port in hex.
fn parse(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<u32>> = (0..address.len() / 8)
        .map(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_this_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = of(listener.local_addr().unwrap()).expect("somebody listens");
        assert_eq!(holder.pid, Pid::this().as_raw());
    }

    #[test]
    fn reads_the_kernels_notation() {
        assert_eq!(
            parse("0100007F:1F90"),
            Some("127.0.0.1:8080".parse().unwrap())
        );
        let six = "00000000000000000000000001000000:0050";
        assert_eq!(parse(six), Some("[::1]:80".parse().unwrap()));
        assert_eq!(parse("0100007F"), None);
        assert_eq!(parse("xyz:1"), None);
    }

    #[test]
    fn all_addresses_overlap_with_each() {
        let all: SocketAddr = "0.0.0.0:80".parse().unwrap();
        let one: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert!(overlaps(all, one) && overlaps(one, all));
        assert!(!overlaps(one, "127.0.0.1:81".parse().unwrap()));
    }
}
