//! Settings as text: the configuration in force, and the table of the documentation.

use std::fmt::Write as _;

use super::ServerConfig;
use super::kind::{Kind, Raw, Value};
use super::load::Loaded;
use super::settings::{Reading, Setting, settings};

/// A value in the form in which it could have been given.
pub(super) fn as_raw(value: &Value) -> Raw {
    match value {
        Value::Unset => Raw::Text(String::new()),
        Value::Text(text) => Raw::Text(text.clone()),
        Value::Flag(flag) => Raw::Flag(*flag),
        Value::Integer(number) => Raw::Integer(*number),
        Value::List(items) => Raw::List(items.iter().cloned().map(Raw::Text).collect()),
        Value::Addresses(addresses) => match addresses.as_slice() {
            [only] => Raw::Text(only.to_string()),
            all => Raw::List(all.iter().map(|address| Raw::Text(address.to_string())).collect()),
        },
        Value::Cores(cores) => Raw::Text(crate::runtime::topology::format_core_list(cores)),
    }
}

/// A value for people: as TOML would write it, or masked.
pub(super) fn masked(setting: &Setting, value: &Value) -> String {
    match value {
        Value::Unset => "unset".to_owned(),
        _ if setting.secret => "(hidden)".to_owned(),
        value => toml_text(&as_raw(value)),
    }
}

fn toml_text(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) => toml::Value::String(text.clone()).to_string(),
        Raw::List(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        other => other.display(),
    }
}

/// The configuration as a TOML file that reads back as itself, but for secrets.
pub(super) fn print(loaded: &Loaded, table: &[Setting]) -> String {
    let mut out = String::from("# The configuration in force. Behind each value: where it came from.\n");
    let mut section = "";
    for setting in table {
        if setting.section != section {
            section = setting.section;
            let _ = writeln!(out, "\n[{section}]");
        }
        let value = setting.get(&loaded.config);
        let comment = if value == Value::Unset || setting.secret { "# " } else { "" };
        let shown = masked(setting, &value);
        let _ = writeln!(out, "{comment}{} = {shown}  # {}", setting.key, loaded.origin(&setting.path()));
    }
    out
}

/// The tables of every setting in Markdown, as `docs/configuration.md` holds them.
pub fn settings_markdown() -> String {
    let mut out =
        String::from("### Settings\n\n| key | default | allowed | environment | flag | meaning |\n");
    out.push_str("|---|---|---|---|---|---|\n");
    for setting in settings().iter().filter(|setting| setting.section.is_empty()) {
        let flag = if setting.flag.is_empty() { "none".to_owned() } else { format!("`--{}`", setting.flag) };
        out.push_str(&row(&[
            &key(setting),
            &default(setting),
            &allowed(setting),
            &names(setting),
            &flag,
            setting.doc,
        ]));
    }
    out.push_str("\n### Limits, in the section `[limits]`, or `--limit KEY=NUMBER`\n\n");
    out.push_str("| key | default | from | to | environment | meaning |\n|---|---|---|---|---|---|\n");
    for setting in settings().iter().filter(|setting| !setting.section.is_empty()) {
        let Kind::Integer { min, max, .. } = setting.kind else { continue };
        let (min, max) = (min.to_string(), max.to_string());
        out.push_str(&row(&[&key(setting), &default(setting), &min, &max, &names(setting), setting.doc]));
    }
    out
}

fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | ").replace("p2p_*", "`p2p_*`"))
}

fn key(setting: &Setting) -> String {
    format!("`{}`", setting.key)
}

fn default(setting: &Setting) -> String {
    match setting.get(&ServerConfig::default()) {
        Value::Unset => "unset".to_owned(),
        value => format!("`{}`", masked(setting, &value)),
    }
}

fn allowed(setting: &Setting) -> String {
    match setting.kind {
        Kind::Flag => "true or false".to_owned(),
        kind => kind.allowed(),
    }
}

fn names(setting: &Setting) -> String {
    let aliases = setting.aliases.iter().map(|alias| match alias.reading {
        Reading::Same => format!("`{}`", alias.name),
        Reading::Inverted => format!("`{}` (the opposite)", alias.name),
        Reading::Seconds => format!("`{}` (seconds)", alias.name),
        Reading::Host => format!("`{}` (the IP address)", alias.name),
        Reading::Port => format!("`{}` (the port)", alias.name),
        Reading::P2pPort => format!("`{}` (the port, on 127.0.0.1)", alias.name),
    });
    let names: Vec<String> = std::iter::once(format!("`{}`", setting.variable())).chain(aliases).collect();
    names.join(", ")
}
