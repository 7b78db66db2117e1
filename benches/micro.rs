//! Micro benchmarks of the hot path: `cargo bench --features bench`.

use std::fs;
use std::hint::black_box;

use appserver::BoxError;
use appserver::bench::{Counting, Folder, Line, Logging, Stored};
use criterion::{BatchSize, Criterion};

fn main() -> Result<(), BoxError> {
    let mut criterion = Criterion::default().configure_from_args();
    scoreboard(&mut criterion)?;
    log_line(&mut criterion)?;
    files(&mut criterion)?;
    store(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// What a request changes in its worker's row.
fn scoreboard(criterion: &mut Criterion) -> Result<(), BoxError> {
    let row = Counting::new()?;
    criterion.bench_function("scoreboard, a request", |bencher| {
        bencher.iter(|| black_box(&row).request());
    });
    Ok(())
}

/// The outermost layer, without and with a line.
fn log_line(criterion: &mut Criterion) -> Result<(), BoxError> {
    for (name, line) in [
        ("access log, off", Line::Off),
        ("access log, combined", Line::Combined),
        ("access log, json", Line::Json),
    ] {
        let log = Logging::new(line)?;
        criterion.bench_function(name, |bencher| {
            let serve = |request| log.serve(request);
            bencher.iter_batched(Logging::request, serve, BatchSize::SmallInput);
        });
    }
    Ok(())
}

/// A small file: found in memory, and the head of its answer made.
fn files(criterion: &mut Criterion) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("1k.bin"), [7; 1024])?;
    let mut files = Folder::open(folder.path())?;
    let first = files.get("/1k.bin"); // from the disk, which may take more than a moment
    let status = first
        .or_else(|| files.get("/1k.bin"))
        .map(|response| response.status());
    if status != Some(http::StatusCode::OK) {
        return Err(format!("the file is not served: {status:?}").into());
    }
    criterion.bench_function("files, 1 KiB", |bencher| {
        bencher.iter(|| files.get(black_box("/1k.bin")));
    });
    Ok(())
}

/// The embedded store: a session is read, and replaced by the writer's thread.
fn store(criterion: &mut Criterion) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let store = Stored::open(folder.path())?;
    criterion.bench_function("store, get 400 bytes", |bencher| {
        bencher.iter(|| assert!(black_box(&store).get()));
    });
    criterion.bench_function("store, compare and set 400 bytes", |bencher| {
        bencher.iter(|| assert!(black_box(&store).compare_and_set()));
    });
    Ok(())
}
