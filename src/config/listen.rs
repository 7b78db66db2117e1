//! The addresses: which set counts, what each one means, and the limits of each.

use std::net::Ipv4Addr;

use super::address::Written;
use super::defaults::PORT;
use super::environment::Environment;
use super::key::Origin;
use super::problem::Problem;
use super::raw::{Address, Raw};
use super::types::{Listen, ListenAddress};
use super::winners::Winners;

/// An address of the file: what it means here, and what its table says.
struct Table<'a> {
    places: Result<Vec<ListenAddress>, Problem>,
    origin: &'a Origin,
    keys: Winners<'a, Listen>,
}

/// The addresses to listen at, with their limits; empty only with a problem.
pub(super) fn check(raw: &Raw, env: &Environment, problems: &mut Vec<Problem>) -> Vec<Listen> {
    let unsaid = Listen::at(ListenAddress::Tcp((Ipv4Addr::LOCALHOST, PORT).into()));
    let tables = tables(&raw.addresses, &unsaid, problems);
    let anywhere = Winners::of(&raw.any_address, &unsaid, problems);
    let everywhere = Winners::of(&raw.every_address, &unsaid, problems);
    let mut listen: Vec<Listen> = Vec::new();
    for address in chosen(raw, &tables, env, problems) {
        let mut new = Listen::at(address);
        anywhere.apply(&mut new, problems);
        if let Some(table) = tables.iter().find(|table| table.is_about(&new.address)) {
            table.keys.apply(&mut new, problems);
        }
        everywhere.apply(&mut new, problems);
        listen.push(new);
    }
    listen
}

impl Table<'_> {
    fn is_about(&self, address: &ListenAddress) -> bool {
        self.places
            .as_ref()
            .is_ok_and(|places| places.contains(address))
    }
}

/// Reads the file's addresses. That a name has no address counts only where it is used.
fn tables<'a>(
    addresses: &'a [Address],
    unsaid: &Listen,
    problems: &mut Vec<Problem>,
) -> Vec<Table<'a>> {
    let mut tables = Vec::new();
    for address in addresses {
        let keys = Winners::of(&address.keys, unsaid, problems);
        match Written::parse(&address.text) {
            Ok(written) => {
                let origin = &address.origin;
                let places = written
                    .resolve(&origin.base)
                    .map_err(|what| origin.problem(what));
                tables.push(Table {
                    places,
                    origin,
                    keys,
                });
            }
            Err(what) => problems.push(address.origin.problem(what)),
        }
    }
    tables
}

/// The set of the highest layer that names one, in its order.
fn chosen(
    raw: &Raw,
    tables: &[Table<'_>],
    env: &Environment,
    problems: &mut Vec<Problem>,
) -> Vec<ListenAddress> {
    let named: Vec<(&Origin, Result<Vec<ListenAddress>, Problem>)> = match &raw.chosen {
        Some(chosen) => chosen
            .iter()
            .map(|address| (&address.origin, resolve(address)))
            .collect(),
        None => tables
            .iter()
            .map(|table| (table.origin, table.places.clone()))
            .collect(),
    };
    if named.is_empty() && raw.addresses.is_empty() {
        return vec![ListenAddress::Tcp(
            (Ipv4Addr::LOCALHOST, default_port(env, problems)).into(),
        )];
    }
    let mut found: Vec<(ListenAddress, &Origin)> = Vec::new();
    for (origin, places) in named {
        match places {
            Ok(places) => places
                .into_iter()
                .for_each(|place| add(place, origin, &mut found, problems)),
            Err(problem) => problems.push(problem),
        }
    }
    found.into_iter().map(|(address, _)| address).collect()
}

fn add<'a>(
    address: ListenAddress,
    origin: &'a Origin,
    found: &mut Vec<(ListenAddress, &'a Origin)>,
    problems: &mut Vec<Problem>,
) {
    match found.iter().find(|(other, _)| *other == address) {
        Some((_, first)) => {
            let what = format!("{address} is listened at already ({})", first.place);
            problems.push(origin.problem(what));
        }
        None => found.push((address, origin)),
    }
}

fn resolve(address: &Address) -> Result<Vec<ListenAddress>, Problem> {
    ListenAddress::resolve(&address.text, &address.origin.base)
        .map_err(|what| address.origin.problem(what))
}

/// `PORT`, which counts only where no address is named.
fn default_port(env: &Environment, problems: &mut Vec<Problem>) -> u16 {
    let Some(text) = env.get_filled("PORT") else {
        return PORT;
    };
    text.parse().unwrap_or_else(|_| {
        problems.push(env.problem("PORT", format!("{text:?} is not a port from 0 to 65535")));
        PORT
    })
}
