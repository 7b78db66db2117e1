//! Other processes: killed and stopped ones. They are this program again, running the one test
//! that does nothing by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

const ROLE: &str = "STORE_TEST_ROLE";
const DIR: &str = "STORE_TEST_DIR";
const BOOT: &str = "STORE_TEST_BOOT";
const SIZE: &str = "STORE_TEST_SIZE";
const COUNTER: &[u8] = b"counter";

/// Another process with the store open.
pub(super) struct Other {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Other {
    /// Starts one, and waits until it says what `role` says at first.
    pub(super) fn start(config: &Store, role: &str, boot: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let test = format!("{}::a_child_of_the_other_tests", module_path!());
        let (_crate, test) = test.split_once("::").unwrap();
        let mut child = Command::new(program)
            .args(["--exact", test, "--nocapture"])
            .env(ROLE, role)
            .env(DIR, &config.dir)
            .env(BOOT, boot)
            .env(SIZE, config.size.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut other = Self {
            child,
            input,
            output,
        };
        other.wait_for("ready");
        other
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim_end() != word {
            line.clear();
            let read = self.output.read_line(&mut line).unwrap();
            assert!(read > 0, "it has ended without saying {word:?}");
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, signal).unwrap();
    }

    /// Kills it; what else it said.
    pub(super) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Has it come to its end.
    pub(super) fn finish(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill(); // when the test fails
        let _ = self.child.wait();
    }
}

/// What the other process does; by itself nothing.
#[tokio::test]
async fn a_child_of_the_other_tests() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let variable = |name| std::env::var(name).unwrap();
    let config = Store {
        dir: variable(DIR).into(),
        size: variable(SIZE).parse().unwrap(),
        timeout: PATIENCE,
    };
    let store = Embedded::open_in(&config, Some(variable(BOOT)));
    let store = store.await.unwrap();
    let ready = || {
        println!("\nready");
        std::io::stdout().flush().unwrap();
    };
    let wait = || std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    match role.as_str() {
        "set" => {
            store.set(b"k", "of another".into(), LONG).await.unwrap();
            ready();
            wait();
            assert!(store.close(PATIENCE).await);
        }
        "hold" => {
            let guard = store.0.shared.open.read().unwrap();
            let open = guard.as_ref().unwrap();
            let txn = open.env.write_txn().unwrap();
            ready();
            wait();
            txn.abort();
        }
        "read" => {
            let guard = store.0.shared.open.read().unwrap();
            let open = guard.as_ref().unwrap();
            let txn = open.env.read_txn().unwrap();
            ready();
            wait();
            drop(txn);
        }
        "count" => {
            ready();
            // Several at once, so that transactions have several changes.
            let tasks = (0..4).map(|task| count_up(&store, task));
            futures_util::future::join_all(tasks).await;
        }
        other => panic!("{other}"),
    }
}

/// Counts up, and says so each time it is done.
async fn count_up(store: &Embedded, task: u8) {
    let own = format!("own:{}:{task}", std::process::id());
    loop {
        let seen = store.get(COUNTER).await.unwrap();
        let number = seen.as_deref().map_or(0, number);
        let next = (number + 1).to_string();
        let expected = seen.map_or(Expected::Nothing, Expected::Value);
        let next = Bytes::from(format!("{next} {next}"));
        let swap = store.compare_and_set(COUNTER, expected, next, LONG);
        if swap.await.unwrap() == Swap::Done {
            println!("+");
        }
        let short = Some(Duration::from_secs(60 + number % 60));
        store.set(own.as_bytes(), "x".into(), short).await.unwrap();
    }
}

/// The number that a counter says twice.
fn number(bytes: &[u8]) -> u64 {
    let text = std::str::from_utf8(bytes).unwrap();
    let (one, two) = text.split_once(' ').unwrap();
    assert_eq!(one, two, "half of it is of another time");
    one.parse().unwrap()
}

/// A generator (splitmix64) whose seed is printed; `TEST_SEED` repeats a run.
fn random() -> impl FnMut(u64) -> u64 {
    let given = std::env::var("TEST_SEED").ok();
    let seed = given.and_then(|seed| seed.parse().ok());
    let mut state: u64 = seed.unwrap_or_else(crate::sys::clock::now_ns);
    eprintln!("seed: TEST_SEED={state}");
    move |limit| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

#[tokio::test]
async fn no_kill_loses_what_was_committed_or_leaves_half_of_it() {
    const KILLS: usize = 30;
    let (folder, store) = store().await;
    let config = config(folder.path());
    let boot = proc::boot_id().unwrap();
    let mut random = random();
    let start = || Other::start(&config, "count", &boot);
    let counted = async || value(&store, "counter").await.as_deref().map_or(0, number);
    let mut others: Vec<Other> = (0..3).map(|_| start()).collect();
    let mut acknowledged = 0;
    for _ in 0..KILLS {
        let until = counted().await + 1 + random(100);
        while counted().await < until {
            sleep(Duration::from_micros(random(2_000))).await;
        }
        let victim = usize::try_from(random(3)).unwrap();
        let said = std::mem::replace(&mut others[victim], start()).kill();
        acknowledged += pluses(&said);
    }
    for other in others {
        acknowledged += pluses(&other.kill());
    }
    store.set(b"mine", "x".into(), LONG).await.unwrap();
    let total = counted().await;
    let unsaid = 4 * (KILLS as u64 + 3);
    assert!(
        (acknowledged..=acknowledged + unsaid).contains(&total),
        "{total} where {acknowledged} were acknowledged"
    );
    let (records, lines) = count(&store);
    assert_eq!(records, lines, "each record has its line in the index");
}

fn pluses(said: &str) -> u64 {
    said.lines().filter(|line| *line == "+").count() as u64
}

#[tokio::test]
async fn a_stopped_writer_makes_writes_late_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let config = Store {
        timeout: Duration::from_millis(50),
        ..config(folder.path())
    };
    let store = Embedded::open(&config).await.unwrap();
    store.set(b"k", "x".into(), LONG).await.unwrap();
    let boot = proc::boot_id().unwrap();
    for is_killed in [false, true] {
        let holder = Other::start(&config, "hold", &boot);
        holder.signal(Signal::SIGSTOP);
        let (mut late, mut refused) = (0, 0);
        let sets = (0..QUEUE + 100).map(|_| store.set(b"late", "x".into(), LONG));
        for result in futures_util::future::join_all(sets).await {
            match result.unwrap_err() {
                StoreError::Timeout(_) => late += 1,
                StoreError::Unavailable(_) => refused += 1,
                other => panic!("{other}"),
            }
        }
        assert!(
            late >= QUEUE && refused > 0,
            "{late} late, {refused} refused"
        );
        assert_eq!(value(&store, "k").await, Some("x".into()), "reads go on");
        let hour = Duration::from_hours(1);
        assert!(store.touch(b"k", hour).await.unwrap(), "most touches, too");
        if is_killed {
            holder.kill();
        } else {
            holder.signal(Signal::SIGCONT);
            holder.finish();
        }
        while store.set(b"healed", "x".into(), LONG).await.is_err() {}
        assert_eq!(value(&store, "late").await, None, "nobody waits for it");
        store.delete(b"healed").await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_closed_in_time_or_left_open() {
    let (folder, store) = store().await;
    let boot = proc::boot_id().unwrap();
    let holder = Other::start(&config(folder.path()), "hold", &boot);
    let set = tokio::spawn({
        let store = store.clone();
        async move { store.set(b"k", "x".into(), LONG).await }
    });
    tokio::task::yield_now().await;
    assert!(!store.close(Duration::from_millis(20)).await);
    holder.finish();
    set.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_killed_reader_does_not_hold_pages_for_ever() {
    let (folder, store) = store().await;
    let boot = proc::boot_id().unwrap();
    let readers = || {
        let open = store.0.shared.open.read().unwrap();
        open.as_ref().unwrap().env.clear_stale_readers().unwrap()
    };
    Other::start(&config(folder.path()), "read", &boot).kill();
    assert_eq!(readers(), 1, "the kill leaves one");
    Other::start(&config(folder.path()), "read", &boot).kill();
    store.sweep().await.unwrap();
    assert_eq!(readers(), 0, "the sweep has cleared it");
}

#[tokio::test]
async fn a_killed_reader_does_not_fill_the_store() {
    let (folder, store) = store().await;
    let boot = proc::boot_id().unwrap();
    store.set(b"kept", "it".into(), LONG).await.unwrap();
    Other::start(&config(folder.path()), "read", &boot).kill();
    // Each write takes pages that the killed one might still read; no sweep runs here.
    let large = Bytes::from(vec![b'x'; 64 << 10]);
    for _ in 0..200 {
        store.set(b"changing", large.clone(), LONG).await.unwrap();
    }
    assert_eq!(value(&store, "kept").await.as_deref(), Some(&b"it"[..]));
    assert_eq!(store.evicted(), 0);
}
