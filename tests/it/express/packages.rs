//! What Node's packages know: which types are compressed, how encodings are read.

use std::path::Path;
use std::process::Command;

use crate::harness::Appserver;

#[test]
fn the_same_media_types_are_compressed() {
    // All that the npm world's database knows, and what its users do with the rest.
    let database =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/express/node_modules/mime-db/db.json");
    let database = std::fs::read_to_string(database).expect("tests/run installs it");
    let database: serde_json::Map<_, _> = serde_json::from_str(&database).unwrap();
    assert!(database.len() > 2000);
    let server = Appserver::fixture().workers(1).start();
    let mut connection = server.connect();
    let mut differences = Vec::new();
    for (kind, facts) in &database {
        let by_name = kind.starts_with("text/")
            || ["+json", "+text", "+xml"]
                .iter()
                .any(|end| kind.ends_with(end));
        let expected = facts["compressible"].as_bool().unwrap_or(by_name);
        let fields = format!("X-Set-Content-Type: {kind}\r\nX-Bytes: 1\r\n");
        let response = connection.get_with("/make", &fields);
        if response.header("vary").is_some() != expected {
            differences.push(kind);
        }
    }
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn node_reads_what_we_encode() {
    let server = Appserver::fixture().workers(1).start();
    let plain = server.get("/make").body;
    for coding in ["gzip", "br"] {
        for mode in ["whole", "pieces"] {
            let script = format!(
                "fetch('http://{}/make', {{ headers: {{ 'Accept-Encoding': '{coding}', \
                 'X-Set-Content-Type': 'text/plain', 'X-Mode': '{mode}' }} }})\
                 .then(async (res) => process.stdout.write(\
                 res.headers.get('content-encoding') + ' ' + await res.text()))",
                server.address()
            );
            let output = Command::new("node").args(["-e", &script]).output();
            let output = output.expect("node runs");
            let expected = [format!("{coding} ").as_bytes(), &plain].concat();
            assert!(output.stdout == expected, "{coding} {mode}: {output:?}");
        }
    }
}
