//! What must hold of a configuration as a whole, wherever its values came from.

use super::error::{ConfigError, Problem};
use super::kind::{Kind, Value};
use super::load::Origin;
use super::settings::settings;
use super::show::as_raw;
use super::{ServerConfig, show};

/// Checks values that were set in code: each by its setting's kind, then all together.
pub(super) fn validate(config: &ServerConfig) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    for setting in settings() {
        let value = setting.get(config);
        if value == Value::Unset {
            continue;
        }
        let reason = match setting.kind.read(&as_raw(&value)) {
            Ok(read) if read == value || setting.kind == Kind::Cores => continue,
            // Reading tidies (a trailing slash, capitals in a host name); a value set in code must be tidy already.
            Ok(read) => format!("write it as {}; ", show::masked(setting, &read)),
            Err(reason) if reason.is_empty() => reason,
            Err(reason) => format!("{reason}; "),
        };
        let message = format!("{reason}allowed is {}", setting.kind.allowed());
        let value = Some(show::masked(setting, &value));
        problems.push(Problem { key: setting.path(), value, origin: Origin::Code, message });
    }
    if problems.is_empty() {
        problems = across_settings(config, |_| Origin::Code);
    }
    ConfigError::unless_empty(problems)
}

/// What two values must not say together.
pub(super) fn across_settings(config: &ServerConfig, origin: impl Fn(&str) -> Origin) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut complain = |key: &str, value: String, message: &str| {
        problems.push(Problem {
            key: key.to_owned(),
            value: Some(value),
            origin: origin(key),
            message: message.to_owned(),
        });
    };
    for (index, address) in config.listen.iter().enumerate() {
        if address.port() != 0 && config.listen[..index].contains(address) {
            complain("listen", address.to_string(), "the address is there twice");
        }
    }
    if let Some(probe) =
        config.probe_listen.filter(|probe| probe.port() != 0 && config.listen.contains(probe))
    {
        complain(
            "probe_listen",
            probe.to_string(),
            "it must differ from every address of `listen`, or be unset",
        );
    }
    problems
}
