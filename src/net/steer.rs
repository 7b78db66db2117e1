//! The classic BPF program by which the kernel gives a new connection to a slot.
//!
//! The program runs for each new connection and answers with an index into the reuseport group.
//! It first draws a slot among all of them; when that slot is out of rotation it draws again among
//! those that are in. So a client that is tied to a slot by its address keeps it while others
//! come and go.

use std::collections::BTreeSet;
use std::io;

use libc::sock_filter;

use super::{Listener, ListenerSockets};
use crate::config::AcceptBalance;
use crate::scoreboard::SlotId;
use crate::sys::socket;

/// Which slots are to get new connections, and by what rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steering {
    /// The rule.
    pub(crate) balance: AcceptBalance,
    /// The slots in rotation; never empty (a program without any would be refused).
    pub(crate) slots: BTreeSet<SlotId>,
}

impl Steering {
    /// Tells the kernel, for one listen address. Unix sockets have nothing to steer.
    ///
    /// # Errors
    /// When the kernel refuses the program.
    pub(crate) fn attach(&self, listener: &Listener) -> io::Result<()> {
        let ListenerSockets::PerSlot { of, group } = &listener.sockets else {
            return Ok(());
        };
        let (Some(any), Some(mut program)) = (of.values().next(), self.program(group)) else {
            return Ok(());
        };
        socket::steer(any, &mut program)
    }

    /// The program for a group in this order; none when no member of the group is in rotation.
    fn program(&self, group: &[SlotId]) -> Option<Vec<sock_filter>> {
        let all: Vec<u32> = (0..).take(group.len()).collect();
        let inside: Vec<u32> = all
            .iter()
            .copied()
            .filter(|index| self.slots.contains(&group[*index as usize]))
            .collect();
        if inside.is_empty() {
            return None;
        }
        let mut code = key(self.balance);
        code.push(statement(libc::BPF_MISC | libc::BPF_TAX, 0)); // X = key, for the second draw
        draw(&mut code, u32::try_from(all.len()).ok()?);
        for index in &inside {
            answer(&mut code, *index, *index);
        }
        code.push(statement(libc::BPF_MISC | libc::BPF_TXA, 0));
        code.push(statement(
            libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K,
            0x85eb_ca6b,
        ));
        code.push(statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 13));
        draw(&mut code, u32::try_from(inside.len()).ok()?);
        for (drawn, index) in (0..).zip(&inside) {
            answer(&mut code, drawn, *index);
        }
        code.push(statement(libc::BPF_RET | libc::BPF_K, inside[0])); // never reached
        Some(code)
    }
}

/// Code that leaves the number to draw by in the accumulator.
fn key(balance: AcceptBalance) -> Vec<sock_filter> {
    const RANDOM: u32 = ancillary(libc::SKF_AD_RANDOM);
    const CPU: u32 = ancillary(libc::SKF_AD_CPU);
    match balance {
        AcceptBalance::Even | AcceptBalance::Random => vec![load_word(RANDOM)],
        AcceptBalance::Cpu => vec![load_word(CPU)],
        AcceptBalance::IpHash => address_key(false),
        AcceptBalance::Hash => address_key(true),
    }
}

/// Code that mixes the client's address, and its port if asked, into one number. The offsets are
/// those of the IPv4 header without options (RFC 791) and of the fixed IPv6 header (RFC 8200).
fn address_key(with_port: bool) -> Vec<sock_filter> {
    const NET: u32 = libc::SKF_NET_OFF.cast_unsigned();
    // Load the port, or zero, into X; then add the words of the address.
    let port = |offset: u32| {
        if with_port {
            statement(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, NET + offset)
        } else {
            statement(libc::BPF_LD | libc::BPF_IMM, 0)
        }
    };
    let fold = |code: &mut Vec<sock_filter>, offset: u32| {
        code.push(statement(libc::BPF_MISC | libc::BPF_TAX, 0));
        code.push(load_word(NET + offset));
        code.push(statement(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X, 0));
        code.push(statement(
            libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K,
            0x9e37_79b1,
        ));
    };
    let mut four = vec![port(20)];
    fold(&mut four, 12);
    let mut six = vec![port(40)];
    for offset in [8, 12, 16, 20] {
        fold(&mut six, offset);
    }
    let mut code = vec![
        statement(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, NET),
        statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 4),
        jump_if_equal(4, 0, u8::try_from(four.len() + 1).unwrap_or(u8::MAX)),
    ];
    code.append(&mut four);
    code.push(statement(
        libc::BPF_JMP | libc::BPF_JA,
        u32::try_from(six.len()).unwrap_or(0),
    ));
    code.append(&mut six);
    code.push(statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 8)); // the best-mixed bits
    code
}

/// Code that reduces the accumulator to a number below `sides`.
fn draw(code: &mut Vec<sock_filter>, sides: u32) {
    code.push(statement(
        libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K,
        sides,
    ));
}

/// Code that ends with `index` when the accumulator is `drawn`.
fn answer(code: &mut Vec<sock_filter>, drawn: u32, index: u32) {
    code.push(jump_if_equal(drawn, 0, 1));
    code.push(statement(libc::BPF_RET | libc::BPF_K, index));
}

fn load_word(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: opcode(code),
        jt: 0,
        jf: 0,
        k,
    }
}

fn jump_if_equal(k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: opcode(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K),
        jt,
        jf,
        k,
    }
}

/// All opcodes of classic BPF fit into 16 bits; libc merely types them wider.
fn opcode(code: u32) -> u16 {
    u16::try_from(code).unwrap_or(u16::MAX)
}

const fn ancillary(offset: i32) -> u32 {
    (libc::SKF_AD_OFF + offset).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::config::ListenAddress;
    use crate::net::ListenerSet;

    /// Opens `slots` sockets at `address`, attaches, connects `clients` times, counts by slot.
    fn spread(address: &str, slots: u16, inside: &[u16], balance: AcceptBalance) -> Vec<usize> {
        let mut set = ListenerSet::default();
        for slot in 0..slots {
            set.add_slot(SlotId(slot)).unwrap();
        }
        let address = ListenAddress::Tcp(address.parse().unwrap());
        set.open(&[(address, 512)]).unwrap();
        let steering = Steering {
            balance,
            slots: inside.iter().copied().map(SlotId).collect(),
        };
        let listener = &set.listeners[0];
        steering.attach(listener).unwrap();
        let ListenAddress::Tcp(bound) = listener.bound else {
            unreachable!()
        };
        let clients: Vec<TcpStream> = (0..200)
            .map(|_| TcpStream::connect_timeout(&bound, Duration::from_secs(5)).unwrap())
            .collect();
        let counts = (0..slots)
            .map(|slot| accept_all(&set, SlotId(slot)))
            .collect();
        drop(clients);
        counts
    }

    fn accept_all(set: &ListenerSet, slot: SlotId) -> usize {
        let socket = set.listeners[0].socket(slot).unwrap().try_clone().unwrap();
        let listener = TcpListener::from(socket);
        std::iter::from_fn(|| listener.accept().ok()).count()
    }

    #[test]
    fn random_reaches_every_slot_in_rotation_and_no_other() {
        let counts = spread("127.0.0.1:0", 4, &[0, 1, 3], AcceptBalance::Even);
        assert_eq!(counts.iter().sum::<usize>(), 200, "{counts:?}");
        assert_eq!(counts[2], 0, "{counts:?}");
        assert!(
            [0, 1, 3].iter().all(|slot| counts[*slot] > 20),
            "{counts:?}"
        );
    }

    #[test]
    fn one_client_address_has_one_slot() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let counts = spread(address, 4, &[0, 1, 2, 3], AcceptBalance::IpHash);
            assert_eq!(
                counts.iter().filter(|count| **count > 0).count(),
                1,
                "{counts:?}"
            );
        }
    }

    #[test]
    fn ports_spread_one_client_over_the_slots() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let counts = spread(address, 4, &[0, 1, 2, 3], AcceptBalance::Hash);
            assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
        }
    }

    #[test]
    fn a_slot_out_of_rotation_gets_nothing_by_any_rule() {
        for balance in [
            AcceptBalance::Hash,
            AcceptBalance::IpHash,
            AcceptBalance::Cpu,
            AcceptBalance::Random,
        ] {
            let counts = spread("127.0.0.1:0", 3, &[2], balance);
            assert_eq!(counts, [0, 0, 200], "{balance:?}");
        }
    }

    #[test]
    fn the_group_follows_the_kernels_order_when_a_slot_ends() {
        let mut set = ListenerSet::default();
        (0..3).for_each(|slot| set.add_slot(SlotId(slot)).unwrap());
        set.open(&[(ListenAddress::Tcp("127.0.0.1:0".parse().unwrap()), 64)])
            .unwrap();
        set.remove_slot(SlotId(0));
        let steering = Steering {
            balance: AcceptBalance::Random,
            slots: [SlotId(1)].into(),
        };
        steering.attach(&set.listeners[0]).unwrap();
        let ListenAddress::Tcp(bound) = set.listeners[0].bound else {
            unreachable!()
        };
        let clients: Vec<_> = (0..50)
            .map(|_| TcpStream::connect(bound).unwrap())
            .collect();
        assert_eq!(
            (accept_all(&set, SlotId(1)), accept_all(&set, SlotId(2))),
            (50, 0)
        );
        drop(clients);
    }

    #[test]
    fn nobody_in_rotation_is_no_program() {
        let steering = Steering {
            balance: AcceptBalance::Random,
            slots: BTreeSet::new(),
        };
        assert!(steering.program(&[SlotId(0)]).is_none());
    }
}
