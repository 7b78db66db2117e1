//! 1 000 random `Accept-Encoding` fields against a reference: RFC 9110, 12.5.3, written another
//! way.

use super::TEXT;
use crate::harness::Appserver;
use crate::harness::decode::decoded;
use crate::harness::random::Random;

/// One member of a field, as it is written.
fn member(random: &mut Random) -> String {
    let names = [
        "gzip", "br", "zstd", "identity", "*", "x-gzip", "deflate", "compress", "GZip", "BR", "gz",
        "", "g zip",
    ];
    let weights = [
        "",
        "",
        "",
        ";q=1",
        ";q=0",
        ";q=0.5",
        "; q=0.001",
        " ;\tQ = 0.9",
        ";q=1.000",
        ";q=0.000",
        ";q=2",
        ";q=",
        ";q",
        ";q=a",
        ";q=-1",
        ";x=1;q=0.3",
        ";q=0.30000",
        ";q=1.5",
        ";;q=0.7",
    ];
    let spaces = ["", "", " ", "\t", "  "];
    let (before, after) = (*random.pick(&spaces), *random.pick(&spaces));
    let weight = match random.below(4) {
        0 => format!(";q=0.{}", random.below(1000)),
        _ => (*random.pick(&weights)).to_owned(),
    };
    format!("{before}{}{weight}{after}", random.pick(&names))
}

/// A header line, perhaps two, perhaps none, perhaps nonsense.
fn fields(random: &mut Random) -> Vec<String> {
    let lines = [1, 1, 1, 1, 1, 1, 2, 0][random.below(8)];
    let line = |random: &mut Random| {
        if random.below(20) == 0 {
            let nonsense = (0..random.below(40)).map(|_| char::from(b' ' + random.byte() % 95));
            return nonsense.collect();
        }
        let members: Vec<String> = (0..random.below(7)).map(|_| member(random)).collect();
        members.join(",")
    };
    (0..lines).map(|_| line(random)).collect()
}

/// What a member says: a name in lower case, and a weight in thousandths.
fn meaning(member: &str) -> (String, u32) {
    let mut parts = member.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_lowercase();
    let weight = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    (name, weight.map_or(1000, thousandths))
}

/// Anything that is no number from 0 to 1 with an optional fraction is 0.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = ["0", "1"].contains(&whole) && fraction.chars().all(|c| c.is_ascii_digit());
    if !is_number {
        return 0;
    }
    let padded = format!("{fraction}000");
    let value = whole.parse::<u32>().unwrap_or(0) * 1000 + padded[..3].parse::<u32>().unwrap_or(0);
    let is_above_one = whole == "1" && fraction.chars().any(|c| c != '0');
    if is_above_one { 0 } else { value }
}

/// What the response must be encoded with.
fn reference(fields: &[String]) -> Option<&'static str> {
    let members: Vec<(String, u32)> = fields
        .iter()
        .flat_map(|field| field.split(','))
        .map(meaning)
        .collect();
    let weight = |names: &[&str]| -> Option<u32> {
        let named = members.iter().filter(|(name, _)| names.contains(&&**name));
        named.map(|(_, weight)| *weight).max()
    };
    let others = weight(&["*"]);
    let of = |names: &[&str]| weight(names).or(others).unwrap_or(0);
    let mut candidates = [
        ("zstd", of(&["zstd"])),
        ("br", of(&["br"])),
        ("gzip", of(&["gzip", "x-gzip"])),
    ];
    candidates.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight)); // stable: our order stays
    let (name, weight) = candidates[0];
    (weight > 0 && weight >= of(&["identity"])).then_some(name)
}

#[test]
fn a_thousand_random_fields_get_what_the_reference_says() {
    let mut random = Random::seeded();
    let server = Appserver::fixture().workers(1).start();
    let mut connection = server.connect();
    let mut seen = std::collections::BTreeMap::<_, usize>::new();
    let expected = {
        let request = format!("{TEXT}X-Bytes: 2000\r\n");
        connection.get_with("/make", &request).body
    };
    for _ in 0..1000 {
        let fields = fields(&mut random);
        let lines: String = fields
            .iter()
            .map(|field| format!("Accept-Encoding: {field}\r\n"))
            .collect();
        let mode = *random.pick(&["whole", "pieces"]);
        let request = format!("{TEXT}X-Bytes: 2000\r\nX-Mode: {mode}\r\n{lines}");
        let response = connection.get_with("/make", &request);
        assert_eq!(response.status, 200, "{fields:?}");
        let coding = response.header("content-encoding");
        assert_eq!(coding, reference(&fields), "{fields:?}");
        assert_eq!(decoded(&response), expected, "{fields:?}");
        *seen.entry(coding.map(str::to_owned)).or_default() += 1;
    }
    assert!(seen.len() == 4, "every outcome was seen: {seen:?}");
}
