//! The layers of the configuration as a user meets them: what wins, what is refused, and what the error says.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::net::SocketAddr;
use std::process::Command;

use ringmesh::config::{FlagValue, LogFormat, Origin, ServerConfig, Sources, settings};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn environment(variables: &[(&str, &str)]) -> Sources {
    Sources { environment: pairs(variables), ..Sources::default() }
}

fn file(text: &str) -> Sources {
    Sources { file: Some(("ringmesh.toml".to_owned(), text.to_owned())), ..Sources::default() }
}

fn flag(flag: &str, values: &[&str]) -> FlagValue {
    FlagValue { flag: flag.to_owned(), values: values.iter().map(|value| (*value).to_owned()).collect() }
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn error_of(sources: &Sources) -> String {
    sources.load().unwrap_err().to_string()
}

#[test]
fn nothing_given_means_the_defaults() {
    let loaded = Sources::default().load().unwrap();
    assert_eq!(loaded.config, ServerConfig::default());
    assert_eq!(loaded.config.listen, addresses(&["127.0.0.1:8000"]));
    assert_eq!(loaded.config.mount_path, "/mcp");
    assert_eq!(loaded.origin("listen"), &Origin::Default);
}

#[test]
fn each_layer_wins_over_the_one_before_and_is_named() {
    let sources = Sources {
        file: Some((
            "f.toml".to_owned(),
            "server_name = \"file\"\nbacklog = 10\nmax_cores = 3\n[limits]\nmax_headers = 20\n".to_owned(),
        )),
        environment: pairs(&[
            ("RINGMESH_BACKLOG", "20"),
            ("MCP_SERVER_NAME", "old"),
            ("RINGMESH_MAX_CORES", "2"),
        ]),
        flags: vec![flag("max-cores", &["1"]), flag("limit", &["max_headers=30", "max-body-bytes=2_048"])],
    };
    let loaded = sources.load().unwrap();
    assert_eq!((loaded.config.server_name.as_str(), loaded.config.backlog), ("old", 20));
    assert_eq!(loaded.config.max_cores, Some(1));
    assert_eq!((loaded.config.limits.max_headers, loaded.config.limits.max_body_bytes), (30, 2048));
    assert_eq!(loaded.origin("server_name").to_string(), "environment MCP_SERVER_NAME");
    assert_eq!(loaded.origin("max_cores").to_string(), "flag --max-cores");
    assert_eq!(loaded.origin("limits.max_headers").to_string(), "flag --limit");
    let only_file = Sources { environment: Vec::new(), flags: Vec::new(), ..sources }.load().unwrap();
    assert_eq!(only_file.origin("max_cores").to_string(), "f.toml, line 3");
}

#[test]
fn host_and_port_of_the_environment_combine() {
    let listen = |variables: &[(&str, &str)]| environment(variables).load().unwrap().config.listen;
    assert_eq!(listen(&[("MCP_HOST", "0.0.0.0"), ("MCP_PORT", "9000")]), addresses(&["0.0.0.0:9000"]));
    assert_eq!(listen(&[("MCP_PORT", "9000")]), addresses(&["127.0.0.1:9000"]));
    assert_eq!(listen(&[("MCP_HOST", "::1")]), addresses(&["[::1]:8000"]));
    assert_eq!(listen(&[("MCP_HOST", "localhost")]), addresses(&["127.0.0.1:8000"]));
    let ours = [("MCP_HOST", "0.0.0.0"), ("RINGMESH_LISTEN", "127.0.0.1:1, [::1]:2")];
    assert_eq!(listen(&ours), addresses(&["127.0.0.1:1", "[::1]:2"]));
    let loaded = environment(&[("MCP_HOST", "0.0.0.0"), ("MCP_PORT", "9000")]).load().unwrap();
    assert_eq!(loaded.origin("listen").to_string(), "environment MCP_HOST and MCP_PORT");
}

#[test]
fn the_names_that_users_have_are_understood() {
    let loaded = environment(&[
        ("MCP_MOUNT_PATH", "/tools/"),
        ("MCP_DEBUG", "Yes"),
        ("MCP_CORS_ORIGINS", "https://a.example, http://localhost:3000"),
        ("MCP_ALLOWED_HOSTS", "mcp.example.com,[::1]:8000"),
        ("MCP_LOG_FORMAT", "JSON"),
        ("MCP_DISABLE_P2P", "1"),
        ("MCPPP_EXEC_TIMEOUT_S", "2.5"),
        ("MCPPP_RATE_LIMIT_RPS", "5"),
        ("IPFS_ACCELERATE_PY_TASK_P2P_MDNS", "1"),
        ("MCP_SOMETHING_ELSE", "whatever"),
        ("MCP_PORT", ""),
    ]);
    let loaded = loaded.load().unwrap();
    assert_eq!(loaded.config.mount_path, "/tools");
    assert_eq!(loaded.config.cors_origins, ["https://a.example", "http://localhost:3000"]);
    assert_eq!(loaded.config.allowed_hosts, ["mcp.example.com", "[::1]:8000"]);
    assert_eq!((loaded.config.debug, loaded.config.log_filter()), (true, "debug"));
    assert_eq!(loaded.config.log_format, LogFormat::Json);
    assert!(!loaded.config.p2p);
    assert_eq!(loaded.config.limits.tool_timeout_ms, 2500);
    assert_eq!(loaded.config.limits.max_p2p_requests_per_s, 5);
    assert_eq!(loaded.notes.len(), 1, "{:?}", loaded.notes);
}

#[test]
fn variables_of_the_replaced_queue_are_named_with_what_to_do() {
    let loaded = environment(&[
        ("IPFS_ACCELERATE_PY_TASK_QUEUE_PATH", "/home/u/task_queue.duckdb"),
        ("IPFS_DATASETS_PY_TASK_P2P_CACHE_DIR", "/var/cache/x"),
        ("IPFS_ACCELERATE_PY_TASK_P2P_CACHE_REPLICATE_PEERS", "2"),
        ("IPFS_ACCELERATE_PY_TASK_P2P_DETERMINISTIC", "0"),
    ]);
    let loaded = loaded.load().unwrap();
    assert!(!loaded.config.p2p_deterministic);
    let note = |part: &str| loaded.notes.iter().find(|note| note.contains(part)).unwrap();
    let queue = note("IPFS_ACCELERATE_PY_TASK_QUEUE_PATH");
    assert!(queue.contains("never opens") && queue.contains("submit them again"), "{queue}");
    assert!(note("CACHE_DIR").contains("journal") && note("CACHE_REPLICATE_PEERS").contains("is ignored"));
    assert_eq!(loaded.notes.len(), 3, "{:?}", loaded.notes);
    assert!(!loaded.notes.iter().any(|note| note.contains("/home/u")), "{:?}", loaded.notes);
}

#[test]
fn what_a_container_platform_sets_for_a_service_of_our_name_is_ignored() {
    let links = [
        ("RINGMESH_SERVICE_HOST", "10.0.0.7"),
        ("RINGMESH_SERVICE_PORT", "8000"),
        ("RINGMESH_SERVICE_PORT_HTTP", "8000"),
        ("RINGMESH_PORT", "tcp://10.0.0.7:8000"),
        ("RINGMESH_PORT_8000_TCP_ADDR", "10.0.0.7"),
        ("MCP_PORT", "tcp://10.0.0.8:80"),
    ];
    assert_eq!(environment(&links).load().unwrap().config, ServerConfig::default());
    assert!(error_of(&environment(&[("RINGMESH_PORT", "8000")])).contains("RINGMESH_LISTEN=IP:PORT"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let sources = Sources {
        file: Some((
            "r.toml".to_owned(),
            "lisen = \"x\"\nmax_headers = 5\n[limits]\nmax_body_bytes = 1\n".to_owned(),
        )),
        environment: pairs(&[("RINGMESH_BACKLGO", "3"), ("MCP_PORT", "99999"), ("RINGMESH_CORES", "7-2")]),
        flags: vec![flag("limit", &["max_header=1", "7"]), flag("cors-origin", &["null"])],
    };
    let text = error_of(&sources);
    for expected in [
        "wrong in 9 places",
        "lisen (r.toml, line 1): there is no such setting; did you mean `listen`?",
        "max_headers (r.toml, line 2): there is no such setting; did you mean `limits.max_headers`?",
        "limits.max_body_bytes = 1 (r.toml, line 4): allowed is a whole number from 1024 to 1073741824",
        "RINGMESH_BACKLGO (environment RINGMESH_BACKLGO): there is no such setting; did you mean RINGMESH_BACKLOG?",
        "listen = \"99999\" (environment MCP_PORT): allowed is a port from 0 to 65535",
        "cores = \"7-2\" (environment RINGMESH_CORES):",
        "max_header (flag --limit): there is no such limit; did you mean `max_headers`?",
        "limit = \"7\" (flag --limit): allowed is NAME=VALUE",
        "cors_origins = \"null\" (flag --cors-origin):",
    ] {
        assert!(text.contains(expected), "{expected}\nis missing in\n{text}");
    }
}

#[test]
fn every_kind_refuses_what_it_must() {
    for (key, wrong) in [
        ("server_name", "\"\""),
        ("server_name", "\"a\\u0007b\""),
        ("listen", "[]"),
        ("listen", "\"127.0.0.1\""),
        ("listen", "\"::1:8000\""),
        ("listen", "\"example.com:80\""),
        ("listen", "[\"127.0.0.1:1\", \"127.0.0.1:1\"]"),
        ("probe_listen", "\"127.0.0.1:8000\""),
        ("mount_path", "\"mcp\""),
        ("mount_path", "\"/metrics\""),
        ("mount_path", "\"/a b\""),
        ("mount_path", "\"/a?b\""),
        ("cores", "\"zero\""),
        ("max_cores", "0"),
        ("backlog", "-1"),
        ("backlog", "1.5"),
        ("allowed_hosts", "[\"https://a.example\"]"),
        ("allowed_hosts", "\"*\""),
        ("allowed_hosts", "\"a.example:http\""),
        ("cors_origins", "\"https://a.example/path\""),
        ("deny_tools", "\"[a\""),
        ("p2p_tools", "\"maybe\""),
        ("log_level", "\"inof\""),
        ("log_level", "\"=debug\""),
        ("log_format", "\"xml\""),
        ("run_timeout_ms", "2024-01-01"),
        ("limits", "5"),
    ] {
        let text = error_of(&file(&format!("{key} = {wrong}")));
        assert!(text.contains(key) && text.contains("ringmesh.toml, line 1"), "{key} = {wrong}: {text}");
    }
}

#[test]
fn optional_settings_can_be_unset_by_a_higher_layer() {
    let sources = Sources {
        file: Some((
            "f".to_owned(),
            "cores = [0, 1]\nmax_cores = 2\nprobe_listen = \"[::1]:9\"\ninstructions = \"x\"\n".to_owned(),
        )),
        flags: vec![
            flag("cores", &["all"]),
            flag("max-cores", &["none"]),
            flag("probe-listen", &["none"]),
            flag("instructions", &["none"]),
        ],
        ..Sources::default()
    };
    assert_eq!(sources.load().unwrap().config, ServerConfig::default());
}

#[test]
fn the_printed_configuration_reads_back_as_itself() {
    let loaded = Sources {
        environment: pairs(&[
            ("RINGMESH_INSTRUCTIONS", "say \"hi\"\n\tand 'bye' \\"),
            ("RINGMESH_CORES", "0-3,5"),
        ]),
        flags: vec![flag("listen", &["127.0.0.1:0", "[::1]:0"]), flag("deny-tool", &["p2p_*"])],
        ..Sources::default()
    };
    let loaded = loaded.load().unwrap();
    let printed = loaded.print_config();
    assert_eq!(file(&printed).load().unwrap().config, loaded.config, "{printed}");
    assert!(printed.contains("cores = \"0-3,5\"  # environment RINGMESH_CORES"), "{printed}");
    assert!(printed.contains("max_headers = 64  # default"), "{printed}");
    assert!(printed.contains("# max_cores = unset  # default"), "{printed}");
}

#[test]
fn values_set_in_code_are_held_to_the_same_rules() {
    ServerConfig::default().validate().unwrap();
    let mut config =
        ServerConfig { mount_path: "/mcp/".to_owned(), listen: Vec::new(), ..ServerConfig::default() };
    config.limits.max_headers = 1;
    config.allowed_hosts = vec!["A.example".to_owned()];
    let error = config.validate().unwrap_err();
    let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["listen", "mount_path", "allowed_hosts", "limits.max_headers"], "{error}");
    assert!(error.to_string().contains("write it as \"/mcp\""), "{error}");
    assert!(error.to_string().contains("set in code"), "{error}");
    let config = ServerConfig { cores: Some(vec![3, 1]), ..ServerConfig::default() };
    config.validate().unwrap();
}

#[test]
fn every_setting_can_be_given_in_the_environment() {
    for setting in settings() {
        let error = error_of(&environment(&[(&setting.variable(), "\u{7}")]));
        assert!(error.contains(&format!("environment {}", setting.variable())), "{}: {error}", setting.key);
    }
}

/// The process's own environment cannot be changed safely in a test, so the test runs itself again as a child.
#[test]
fn from_env_reads_the_process_and_the_file_it_names() {
    const CHILD: &str = "TEST_IS_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let config = ServerConfig::from_env().unwrap();
        assert_eq!((config.listen, config.backlog), (addresses(&["0.0.0.0:7777"]), 33));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "backlog = 33\nlisten = \"0.0.0.0:1\"\n").unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "from_env_reads_the_process_and_the_file_it_names"])
        .envs([(CHILD, "1"), ("MCP_PORT", "7777")])
        .env("RINGMESH_CONFIG", &path)
        .status()
        .unwrap();
    assert!(status.success());
}
