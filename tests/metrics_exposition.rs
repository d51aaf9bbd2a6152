//! The metrics as a scraper meets them: read by a small parser of the format, and compared with the documentation.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringmesh::limits::Limit;
use ringmesh::observe::CoreState;
use ringmesh::observe::metrics::{
    CONTENT_TYPE, DialFailure, Direction, HandshakeFailure, MAX_TOOL_SERIES, Metrics, Names, Snapshot,
    TaskStats,
};

/// Samples by their name with labels, as `name{label="value"}`, and families by name with their type.
#[derive(Debug, Default)]
struct Scrape {
    families: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads the text format, version 0.0.4, and refuses whatever a scraper would stumble over.
    fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        let mut family = String::new();
        let mut helped = BTreeSet::new();
        assert!(text.ends_with('\n'), "the last line has no end");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(helped.insert(name.to_owned()), "{name} has two families");
                assert!(help.ends_with('.'), "{name}: {help}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(helped.contains(name) && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
                family = name.to_owned();
                scrape.families.insert(name.to_owned(), kind.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                check_series(series, &family, &scrape.families[&family]);
                let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(scrape.samples.insert(series.to_owned(), value).is_none(), "{series} is there twice");
            }
        }
        scrape
    }

    fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("{series} is missing"))
    }
}

fn check_series(series: &str, family: &str, kind: &str) {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
    assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{series} lies in {family}");
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
    let labels = labels.strip_suffix('}').unwrap();
    let mut rest = labels;
    while !rest.is_empty() {
        let (label, tail) = rest.split_once("=\"").unwrap_or_else(|| panic!("{series}"));
        assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{label}");
        let end = end_of_value(tail).unwrap_or_else(|| panic!("{series}: no end of the value"));
        rest = tail[end + 1..].strip_prefix(',').unwrap_or(&tail[end + 1..]);
    }
}

/// Where the closing quote stands; a backslash protects the character behind it.
fn end_of_value(text: &str) -> Option<usize> {
    let mut protected = false;
    text.char_indices().find_map(|(index, c)| {
        let ends = c == '"' && !protected;
        assert!(!protected || ['\\', '"', 'n'].contains(&c), "bad escape in {text}");
        protected = c == '\\' && !protected;
        ends.then_some(index)
    })
}

fn metrics() -> Arc<Metrics> {
    let names = Names {
        methods: vec!["tools/call", "tools/list"],
        tools: vec!["echo".to_owned(), "odd \"name\\\n".to_owned()],
        errors: vec!["tool_error", "timeout"],
        p2p_protocols: vec!["/mcp+p2p/1.0.0", "/ipfs/ping/1.0.0"],
        p2p_operations: vec!["status", "heartbeat"],
    };
    Metrics::new(&[0, 3], names)
}

/// Metrics after some traffic on both cores.
fn counted() -> Arc<Metrics> {
    let metrics = metrics();
    for _ in 0..3 {
        metrics.core(0).connection_accepted();
        metrics.core(1).request_started();
    }
    metrics.core(0).connection_closed();
    metrics.core(1).request_ended();
    metrics.core(0).response(200);
    metrics.core(1).response(204);
    metrics.core(1).response(503);
    metrics.core(0).bytes_received(10);
    metrics.core(1).bytes_sent(20);
    metrics.core(1).hit(Limit::BodyBytes);
    metrics.core(0).panicked();
    metrics
}

#[test]
fn cores_are_added_up_and_gauges_follow() {
    let metrics = counted();
    let snapshot = Snapshot {
        ready: true,
        sessions_open: 7,
        cores: vec![CoreState {
            core: 3,
            tick_age: Duration::from_secs(2),
            stalled: true,
            stalls: 1,
            ticks: 90,
            busy: Duration::from_millis(1500),
            activity: None,
        }],
        ..Snapshot::default()
    };
    let scrape = Scrape::parse(&metrics.render(&snapshot));
    for (series, value) in [
        ("ringmesh_ready", 1.0),
        ("ringmesh_connections_open{core=\"0\"}", 2.0),
        ("ringmesh_connections_open{core=\"3\"}", 0.0),
        ("ringmesh_http_requests_in_flight", 2.0),
        ("ringmesh_http_responses_total{class=\"2xx\"}", 2.0),
        ("ringmesh_http_responses_total{class=\"5xx\"}", 1.0),
        ("ringmesh_http_received_bytes_total", 10.0),
        ("ringmesh_http_sent_bytes_total", 20.0),
        ("ringmesh_limit_hits_total{limit=\"max_body_bytes\"}", 1.0),
        ("ringmesh_limit_hits_total{limit=\"max_headers\"}", 0.0),
        ("ringmesh_core_busy_seconds_total{core=\"3\"}", 1.5),
        ("ringmesh_core_tick_age_seconds{core=\"3\"}", 2.0),
        ("ringmesh_core_stalls_total{core=\"3\"}", 1.0),
        ("ringmesh_core_ticks_total{core=\"3\"}", 90.0),
        ("ringmesh_panics_total", 1.0),
        ("ringmesh_sessions_open", 7.0),
    ] {
        assert_eq!(scrape.value(series), value, "{series}");
    }
    assert_eq!((metrics.connections_open(), metrics.requests_in_flight()), (2, 2));
    assert!(
        scrape.samples.keys().filter(|series| series.starts_with("ringmesh_limit_hits_total")).count()
            == Limit::COUNT
    );
    assert_eq!(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
}

#[test]
fn operations_fill_cumulative_histograms_by_method_and_tool() {
    let metrics = metrics();
    metrics.core(0).operation(0, Some(0), None, Duration::from_micros(40));
    metrics.core(1).operation(0, Some(1), Some(1), Duration::from_millis(3));
    metrics.core(1).operation(0, Some(0), None, Duration::from_secs(90));
    let text = metrics.render(&Snapshot::default());
    let scrape = Scrape::parse(&text);
    let bucket = |le: &str| {
        let series = format!(
            "mcp_server_operation_duration_seconds_bucket{{mcp_method_name=\"tools/call\",le=\"{le}\"}}"
        );
        scrape.value(&series)
    };
    let counts = ["0.00005", "0.002", "0.005", "60", "+Inf"].map(bucket);
    assert_eq!(counts, [1.0, 1.0, 2.0, 2.0, 3.0]);
    let count = "mcp_server_operation_duration_seconds_count{mcp_method_name=\"tools/call\"}";
    assert_eq!(scrape.value(count), 3.0);
    let sum = scrape.value("mcp_server_operation_duration_seconds_sum{mcp_method_name=\"tools/call\"}");
    assert!((sum - 90.00304).abs() < 1e-9, "{sum}");
    assert_eq!(scrape.value("ringmesh_tool_duration_seconds_count{gen_ai_tool_name=\"echo\"}"), 2.0);
    let errors = "ringmesh_operation_errors_total{mcp_method_name=\"tools/call\",error_type=\"timeout\"}";
    assert_eq!(scrape.value(errors), 1.0);
    assert!(text.contains(r#"gen_ai_tool_name="odd \"name\\\n",error_type="timeout""#), "{text}");
    assert!(!text.contains("tools/list"), "what was never called has no series");
}

#[test]
fn libp2p_is_told_where_there_is_any() {
    let metrics = metrics();
    let (first, second) = (metrics.core(0).p2p(), metrics.core(1).p2p());
    first.connection_opened(Direction::Accepted);
    second.connection_opened(Direction::Dialled);
    second.connection_closed(Direction::Dialled);
    first.handshake_failed(HandshakeFailure::Noise);
    first.dialled(Some(DialFailure::WrongPeer), Duration::from_secs(1));
    second.dialled(None, Duration::from_millis(3));
    second.pooled(2);
    first.stream_opened(1);
    second.stream_opened(9);
    second.stream_closed(9);
    metrics.core(0).p2p_operation(0, true, Duration::from_micros(70));
    assert!(!metrics.render(&Snapshot::default()).contains("ringmesh_p2p_"), "there is no libp2p");
    let snapshot = Snapshot { p2p_peers: Some(5), ..Snapshot::default() };
    let scrape = Scrape::parse(&metrics.render(&snapshot));
    for (series, value) in [
        ("peers_known", 5.0),
        ("connections_open{core=\"0\",direction=\"accepted\"}", 1.0),
        ("connections_open{core=\"3\",direction=\"dialled\"}", 0.0),
        ("connections_total{core=\"3\",direction=\"dialled\"}", 1.0),
        ("handshakes_failed_total{reason=\"noise\"}", 1.0),
        ("handshakes_failed_total{reason=\"timeout\"}", 0.0),
        ("dials_total", 2.0),
        ("dials_failed_total{reason=\"wrong_peer\"}", 1.0),
        ("dial_duration_seconds_count", 1.0),
        ("pool_connections", 2.0),
        ("streams_open{protocol=\"/ipfs/ping/1.0.0\"}", 1.0),
        ("streams_open{protocol=\"_other\"}", 0.0),
        ("streams_total{protocol=\"_other\"}", 1.0),
        ("operation_duration_seconds_count{operation=\"status\"}", 1.0),
        ("operation_errors_total{operation=\"status\"}", 1.0),
    ] {
        assert_eq!(scrape.value(&format!("ringmesh_p2p_{series}")), value, "{series}");
    }
    assert_eq!(metrics.p2p_connections_open(), 1);
}

#[test]
fn what_has_no_name_is_counted_together() {
    let tools = (0..MAX_TOOL_SERIES + 9).map(|index| format!("tool{index}")).collect();
    let metrics = Metrics::new(&[0], Names { tools, ..Names::default() });
    metrics.core(0).operation(99, Some(MAX_TOOL_SERIES + 3), Some(99), Duration::ZERO);
    metrics.core(0).response(999);
    metrics.core(0).response(0);
    let scrape = Scrape::parse(&metrics.render(&Snapshot::default()));
    assert_eq!(scrape.value("ringmesh_tool_duration_seconds_count{gen_ai_tool_name=\"_other\"}"), 1.0);
    let errors = "ringmesh_operation_errors_total{mcp_method_name=\"_other\",error_type=\"_other\"}";
    assert_eq!(scrape.value(errors), 1.0);
    assert_eq!(scrape.value("ringmesh_http_responses_total{class=\"5xx\"}"), 1.0);
}

#[test]
fn counting_on_one_core_while_another_thread_scrapes_loses_nothing() {
    let metrics = metrics();
    std::thread::scope(|scope| {
        for core in 0..2 {
            let metrics = &metrics;
            scope.spawn(move || {
                for _ in 0..10_000 {
                    metrics.core(core).connection_accepted();
                    metrics.core(core).operation(1, None, None, Duration::from_micros(60));
                    metrics.core(core).connection_closed();
                }
            });
        }
        for _ in 0..50 {
            assert!(metrics.connections_open() <= 2);
            Scrape::parse(&metrics.render(&Snapshot::default()));
        }
    });
    let scrape = Scrape::parse(&metrics.render(&Snapshot::default()));
    let count = "mcp_server_operation_duration_seconds_count{mcp_method_name=\"tools/list\"}";
    assert_eq!((scrape.value(count), metrics.connections_open()), (20_000.0, 0));
}

#[test]
fn every_family_is_documented_and_every_documented_family_exists() {
    let metrics = metrics();
    let tasks = ["queued", "running", "completed", "failed", "cancelled"].map(|status| (status, 1));
    let tasks = TaskStats { tasks, journal: Some(Default::default()), ..TaskStats::default() };
    let snapshot = Snapshot { p2p_peers: Some(0), tasks: Some(tasks), ..Snapshot::default() };
    let scrape = Scrape::parse(&metrics.render(&snapshot));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/observability.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let is_metric = |name: &&str| {
        let is_name =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        is_name && ["ringmesh_", "mcp_", "process_"].iter().any(|prefix| name.starts_with(prefix))
    };
    let documented: BTreeSet<&str> = rows.map(|(name, _)| name).filter(is_metric).collect();
    let rendered: BTreeSet<&str> = scrape.families.keys().map(String::as_str).collect();
    assert_eq!(rendered, documented);
}

/// `cargo test --release --test metrics_exposition -- --ignored --nocapture` shows the cost of one operation. It is
/// no gate: wall-clock figures depend on the machine.
#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_recording_one_operation() {
    let metrics = metrics();
    let core = metrics.core(0);
    let rounds = 10_000_000_u32;
    let start = std::time::Instant::now();
    for round in 0..rounds {
        core.operation(0, Some(0), None, Duration::from_nanos(u64::from(round & 0xffff)));
    }
    let each = start.elapsed().as_nanos() as f64 / f64::from(rounds);
    println!("one operation with its tool: {each:.1} ns");
}
