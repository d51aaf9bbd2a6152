//! Tests that need the inside of the room: the layers with a table of their own.

use super::kind::{Kind, Value};
use super::settings::{Access, Setting};
use super::*;

/// The real table with `instructions` made a secret, since no setting of this version is one.
fn table_with_secret() -> Vec<Setting> {
    let mut table = settings().to_vec();
    let setting = table.iter_mut().find(|setting| setting.key == "instructions").unwrap();
    setting.secret = true;
    setting.kind = Kind::Text { max_chars: 12, optional: true };
    table
}

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

#[test]
fn a_secret_is_printed_nowhere() {
    let table = table_with_secret();
    let loaded = environment(&[("RINGMESH_INSTRUCTIONS", "swordfish")]).load_with(&table).unwrap();
    assert_eq!(loaded.config.instructions.as_deref(), Some("swordfish"));
    let printed = show::print(&loaded, &table);
    assert!(!printed.contains("swordfish"), "{printed}");
    assert!(printed.contains("# instructions = (hidden)  # environment RINGMESH_INSTRUCTIONS"), "{printed}");
}

#[test]
fn a_wrong_secret_is_not_quoted_in_the_error() {
    let table = table_with_secret();
    let error =
        environment(&[("RINGMESH_INSTRUCTIONS", "swordfish-and-more")]).load_with(&table).unwrap_err();
    assert!(!error.to_string().contains("swordfish"), "{error}");
    assert!(error.to_string().contains("instructions = (hidden)"), "{error}");
    let file = Some(("f.toml".to_owned(), "instructions = \"swordfish\nlisten".to_owned()));
    let error = Sources { file, ..Sources::default() }.load_with(&table).unwrap_err();
    assert!(!error.to_string().contains("swordfish"), "{error}");
}

#[test]
fn every_row_takes_what_its_default_shows() {
    for setting in settings() {
        let value = setting.get(&ServerConfig::default());
        if value != Value::Unset {
            assert_eq!(setting.kind.read(&show::as_raw(&value)), Ok(value), "{}", setting.key);
        }
        if let Access::Limit(limit) = setting.access {
            assert_eq!(setting.key, limit.name());
        }
    }
}
