//! What is wrong before a server is asked, and the ways in which none can be.

use std::os::unix::process::CommandExt as _;

use super::server::Server;
use super::{command, ended, fake, ringmesh, succeeded};

/// An address that nobody listens at.
const PEER: &str = "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWMMm5siUf1HZDte63yYEXQ1mgFwvYkiXRQwNejB5brsHJ";

#[test]
fn a_wrong_command_line_ends_with_code_2_and_says_why() {
    for (arguments, expected) in [
        (&["tools"][..], "TARGET"),
        (&["tools", "localhost"], "host:port"),
        (&["tools", "/ip4/127.0.0.1/tcp/4001"], "does not end in /p2p/ID"),
        (&["tools", "/ip4/127.0.0.1/tcp/4001/p2p/nobody"], "nobody"),
        (&["tools", PEER, "--header", "A: b"], "http and https"),
        (&["tools", PEER, "--p2p-key-file", "/no/such/file"], "/no/such/file"),
        (&["tools", PEER, "--p2p-token-file", "/no/such/file"], "/no/such/file"),
        (&["tools", "a:1", "--p2p-key-file", "/no/such/file"], "for a peer"),
        (&["tools", "ftp://a/"], "http or https"),
        (&["call", "a:1"], "TOOL"),
        (&["call", "a:1", "t", "message"], "key=value"),
        (&["call", "a:1", "t", "x:={"], "not JSON"),
        (&["call", "a:1", "t", "--json", "[]"], "a JSON object"),
        (&["call", "a:1", "t", "a=b", "--json", "{}"], "cannot be used with"),
        (&["prompt", "a:1", "p", "x:=1"], "must be a text"),
        (&["tools", "a:1", "--timeout", "0"], "from 0.001"),
        (&["tools", "a:1", "--protocol-version", "2020-01-01"], "2026-07-28"),
        (&["tools", "a:1", "--log-level", "loud"], "warning"),
        (&["tools", "a:1", "--output", "xml"], "json"),
        (&["tools", "a:1", "--roots", "/no/such/place"], "/no/such/place"),
        (&["tools", "a:1", "--header", "@/no/such/file"], "/no/such/file"),
        (&["tools", "https://localhost:1/", "--ca-file", "/no/such/file"], "/no/such/file"),
    ] {
        let ended = ringmesh(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn no_secret_is_repeated() {
    let url = "http://localhost:1/?key=s3cret";
    for arguments in [
        &["tools", "http://user:s3cret@a/"][..],
        &["tools", "a:1", "--header", "s3cret"],
        &["tools", "a:1", "--header", "Authorization: s3cret\u{1}"],
        &["tools", "a:1", "--header", "Host: s3cret"],
        &["tools", url],
    ] {
        let ended = ringmesh(arguments);
        assert_ne!(ended.code, Some(0));
        assert!(!ended.stderr.contains("s3cret"), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn no_secret_is_repeated_that_a_redirect_sends_back() {
    let server = Server::start(|mut peer| {
        while peer.request().is_some() {
            peer.send(
                "HTTP/1.1 308 Moved\r\nLocation: https://b/mcp?key=s3cret\r\nContent-Length: 0\r\n\r\n",
            );
        }
    });
    let moved = ringmesh(&["tools", &format!("http://{}/mcp?key=s3cret", server.addr)]);
    assert!(moved.stderr.contains("https://b/mcp") && !moved.stderr.contains("s3cret"), "{}", moved.stderr);
}

#[test]
fn a_server_that_is_not_there_ends_with_code_4() {
    let unused = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let refused = ringmesh(&["tools", &unused.to_string()]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(4), ""), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("http://{unused}/mcp")), "{}", refused.stderr);
    let unknown = ringmesh(&["tools", "http://no-such-host.invalid/"]);
    assert_eq!(unknown.code, Some(4), "{}", unknown.stderr);
    let plain = Server::start(|mut peer| peer.send("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(ca_file.path(), key.cert.pem()).unwrap();
    let url = format!("https://{}/", plain.addr);
    let tls = ringmesh(&["tools", &url, "--ca-file", ca_file.path().to_str().unwrap()]);
    assert_eq!(tls.code, Some(4), "{}", tls.stderr);
    assert!(tls.stderr.contains("does not speak TLS"), "{}", tls.stderr);
}

#[test]
fn a_failure_is_one_json_document_where_that_was_asked_for() {
    let unused = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    for (arguments, code, kind) in [
        (&["tools", &unused, "--output", "json"][..], 4, "unreachable"),
        (&["tools", "localhost", "--output", "json"], 2, "usage"),
        (&["call", &unused, "t", "x:={", "--output", "json"], 2, "usage"),
    ] {
        let ended = ringmesh(arguments);
        let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        let error = &document["error"];
        assert_eq!((ended.code, &error["exitCode"]), (Some(code), &code.into()), "{document}");
        assert_eq!((&error["kind"], ended.stdout.lines().count()), (&kind.into(), 1), "{document}");
        assert!(ended.stderr.contains(error["message"].as_str().unwrap()), "{}", ended.stderr);
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = fake::serve(|_| None);
    for arguments in [&["discover", &server.addr.to_string()][..], &["completions", "bash"]] {
        let ended = ended(command(arguments).stdout(full()).spawn().unwrap());
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("cannot write to standard output"), "{}", ended.stderr);
    }
}

#[test]
fn a_server_that_is_silent_ends_with_code_5() {
    let server = Server::start(|mut peer| while peer.request().is_some() {});
    let ended = ringmesh(&["discover", &server.addr.to_string(), "--timeout", "0.2"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(5), ""), "{}", ended.stderr);
}

#[test]
fn a_server_of_something_else_ends_with_code_6_or_1() {
    let server = Server::start(|mut peer| {
        while peer.request().is_some() {
            peer.answer("<html>\u{1b}[2J</html>");
        }
    });
    let html = ringmesh(&["discover", &server.addr.to_string()]);
    assert_eq!((html.code, html.stdout.as_str()), (Some(6), ""), "{}", html.stderr);
    assert!(!html.stderr.contains('\u{1b}'), "{}", html.stderr);
    let server = Server::start(|mut peer| {
        peer.request();
        peer.send("SSH-2.0-OpenSSH_9.6\r\n\r\n");
    });
    let ssh = ringmesh(&["discover", &server.addr.to_string()]);
    assert_eq!(ssh.code, Some(6), "{}", ssh.stderr);
    let server = Server::start(|mut peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 308 Moved\r\nLocation: https://b/mcp\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let moved = ringmesh(&["discover", &server.addr.to_string()]);
    assert_eq!(moved.code, Some(6), "{}", moved.stderr);
    assert!(moved.stderr.contains("https://b/mcp"), "{}", moved.stderr);
    let server = Server::start(|mut peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 401 x\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let denied = ringmesh(&["discover", &server.addr.to_string()]);
    assert_eq!(denied.code, Some(1), "{}", denied.stderr);
    assert!(denied.stderr.contains("401") && denied.stderr.contains("--header"), "{}", denied.stderr);
}

/// Forbids io_uring, as the default profile of container runtimes does.
fn forbid_io_uring() -> std::io::Result<()> {
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(LOAD, 0, 0, 0),
        step(JUMP_IF_EQUAL, 0, 1, libc::SYS_io_uring_setup as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: both calls take integers, and the second a program that lives through it.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if set { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[test]
fn a_machine_without_io_uring_ends_with_code_3_and_no_riddle() {
    let mut command = command(&["tools", "localhost:1"]);
    // SAFETY: between fork and exec it makes system calls alone.
    unsafe { command.pre_exec(forbid_io_uring) };
    let ended = ended(command.spawn().unwrap());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("FAIL io_uring") && !ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn the_exit_codes_are_in_the_help_and_completions_are_there_for_each_shell() {
    for name in ["tools", "call", "resources", "read", "prompts", "prompt", "discover"] {
        let help = succeeded(&[name, "--help"]);
        assert!(help.contains("5    no answer came in time") && help.contains("--ca-file <FILE>"), "{help}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeeded(&["completions", shell]);
        assert!(!script.contains("worker-reaper"), "{shell}: it is for the worker alone");
        for word in ["ringmesh", "discover", "protocol-version", "p2p-key-file"] {
            assert!(script.contains(word), "{shell}: {word} is missing");
        }
    }
    assert_eq!(ringmesh(&["completions", "cmd"]).code, Some(2));
}
