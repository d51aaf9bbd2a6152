//! The table in docs/configuration.md is written from the code. `UPDATE_DOCS=1 cargo test --test config_docs`
//! writes it anew.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::path::Path;

const BEGIN: &str = "<!-- settings:begin (written by `UPDATE_DOCS=1 cargo test --test config_docs`) -->\n";
const END: &str = "<!-- settings:end -->";

#[test]
fn the_documented_settings_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's first marker");
    let (table, after) = rest.split_once(END).expect("the table's last marker");
    let expected = format!("\n{}\n", ringmesh::config::settings_markdown());
    if table == expected {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    panic!("docs/configuration.md is out of step; run UPDATE_DOCS=1 cargo test --test config_docs");
}

#[test]
fn the_documented_example_file_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let file = Some(("example".to_owned(), example.to_owned()));
    let sources = ringmesh::config::Sources { file, ..Default::default() };
    let loaded = sources.load().unwrap();
    assert_eq!((loaded.config.listen.len(), loaded.config.limits.tool_timeout_ms), (2, 10_000));
}
