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

fn migration() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migration.md");
    std::fs::read_to_string(path).unwrap()
}

/// The texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_page_on_migration_says_of_each_variable_what_the_start_does_with_it() {
    let page = migration();
    let (_, table) = page.split_once("| `…_TASK_P2P_` |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut seen = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        for name in quoted(cells[1]) {
            let name = format!("IPFS_ACCELERATE_PY_TASK_P2P_{}", name.replace('…', "_PEERS"));
            let environment = vec![(name.clone(), "1".to_owned())];
            let loaded = ringmesh::config::Sources { environment, ..Default::default() }.load();
            let noted = loaded.is_ok_and(|loaded| loaded.notes.len() == 1 && loaded.notes[0].contains(&name));
            assert_eq!(noted, cells[2].contains("warning"), "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn the_page_on_migration_names_every_older_variable() {
    let (page, table) = (migration(), ringmesh::config::settings_markdown());
    let older = |name: &&str| name.starts_with("MCP") || name.starts_with("IPFS_ACCELERATE_PY_");
    let names: Vec<&str> = quoted(&table).filter(older).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let name = name.strip_prefix("IPFS_ACCELERATE_PY_TASK_P2P_").unwrap_or(name);
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
