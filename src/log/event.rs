//! A line of the application log: a sentence with fields, or a JSON object.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Whether lines are JSON objects; a reload may change that.
static IS_JSON: AtomicBool = AtomicBool::new(false);
/// Which worker this process is: slot and generation.
static WORKER: OnceLock<(u16, u64)> = OnceLock::new();

pub(super) fn set_json(is_json: bool) {
    IS_JSON.store(is_json, Ordering::Relaxed);
}

/// The line that says how many were lost; what was written last may have been half a line.
pub(super) fn lost(count: u64) -> String {
    const TEXT: &str = "lines of this log were lost: its reader is stuck or its disk full";
    let time = jiff::Timestamp::now();
    if IS_JSON.load(Ordering::Relaxed) {
        return format!(
            "\n{{\"timestamp\":\"{time:.6}\",\"level\":\"WARN\",\"fields\":{{\"message\":\"{TEXT}\",\
             \"lost\":{count}}},\"pid\":{}}}\n",
            std::process::id()
        );
    }
    format!("\n{time:.6}  WARN {TEXT} lost={count}\n")
}

/// Says which worker this process is; its JSON lines have it in them.
pub(crate) fn in_worker(slot: u16, generation: u64) {
    let _ = WORKER.set((slot, generation)); // a process is one worker only
}

/// Writes both kinds of lines.
pub(super) struct Lines {
    text: Format,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            text: Format::default().with_target(false),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if !IS_JSON.load(Ordering::Relaxed) {
            return self.text.format_event(context, writer, event);
        }
        let mut line = object(event);
        let spans = context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root());
        let spans: Vec<Value> = spans
            .map(|span| {
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<N>>();
                let fields = fields.map_or("", |fields| fields.fields.as_str());
                match fields {
                    "" => span.name().into(),
                    fields => format!("{}{{{fields}}}", span.name()).into(),
                }
            })
            .collect();
        if !spans.is_empty() {
            line.insert("spans".to_owned(), spans.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// The names are those that tracing's own JSON has, with the process added.
fn object(event: &Event<'_>) -> Map<String, Value> {
    let mut fields = Fields(Map::new());
    event.record(&mut fields);
    let metadata = event.metadata();
    let mut line = Map::new();
    let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
    put("timestamp", format!("{:.6}", jiff::Timestamp::now()).into());
    put("level", metadata.level().as_str().into());
    put("fields", fields.0.into());
    put("target", metadata.target().into());
    put("pid", std::process::id().into());
    if let Some((slot, generation)) = WORKER.get() {
        put("worker", (*slot).into());
        put("generation", (*generation).into());
    }
    line
}

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name().trim_start_matches("r#");
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn json_lines_are_objects_whatever_is_in_them() {
        let sink = Sink::default();
        let writer = sink.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(Lines::new());
        let subscriber = tracing_subscriber::registry().with(lines);
        set_json(true);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("outer", id = 7);
            let _in = span.enter();
            tracing::warn!(count = 3_u64, ok = true, name = "a\"b\nc", "two\nlines");
        });
        set_json(false);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        let fields = serde_json::json!({
            "message": "two\nlines", "count": 3, "ok": true, "name": "a\"b\nc",
        });
        assert_eq!(line["fields"], fields);
        assert_eq!(line["spans"][0], "outer{id=7}");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }
}
