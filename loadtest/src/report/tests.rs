//! Reports written, held against their schema, and looked through.

use super::*;
use crate::key::find;

fn written(name: &str) -> (PathBuf, Written, Report) {
    let dir = std::env::temp_dir().join(format!("ringmesh-report-{name}-{}", std::process::id()));
    let report = sample::report();
    let written = write(&dir, &report).unwrap();
    (dir, written, report)
}

#[test]
fn the_json_keeps_to_its_schema_and_every_run_has_its_histogram() {
    let (dir, written, report) = written("json");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&written.json).unwrap()).unwrap();
    let schema: serde_json::Value = serde_json::from_str(include_str!("../../report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&json).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(json["started_unix_ms"], 1_795_428_000_123_u64);
    let broken = {
        let mut json = json.clone();
        json["runs"][0]["latency"]["counted_from"] = "the moon".into();
        json
    };
    assert!(!validator.is_valid(&broken) && !validator.is_valid(&serde_json::json!({})));
    for run in &report.runs {
        let text = fs::read_to_string(dir.join(&run.latency.file)).unwrap();
        assert!(text.contains("Total count    =        20000]"), "{text}");
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_page_is_whole_by_itself_and_takes_nothing_for_markup() {
    let (dir, written, report) = written("page");
    let page = fs::read_to_string(written.page).unwrap();
    assert!(!page.contains("<script"), "a server's name became markup");
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;")
            && page.contains("Native &amp; &lt;bridged&gt;")
    );
    for outside in ["http://", "https://", "url(", "@import", " src="] {
        let text = page.replace("http://127.0.0.1:8000", "");
        assert!(find(text.as_bytes(), outside.as_bytes()).is_none(), "{outside}");
    }
    // Two loads: percentiles and two series of each, and one of throughput.
    assert_eq!(page.matches("<figure>").count(), 2 + 4 + 1);
    assert!(page.contains("1 of 12 runs are void") && page.contains("the generator was late: by 5 ms"));
    assert_eq!(page.matches("note: the generator used its whole core").count(), 2);
    assert!(page.contains("▲ faster") && page.contains("no difference shown"));
    assert!(page.matches(".hgrm</a>").count() == report.runs.len() && page.contains("made up"));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let error = write(Path::new("/proc/nowhere/report"), &sample::report()).unwrap_err();
    assert!(error.contains("/proc/nowhere/report"), "{error}");
}
