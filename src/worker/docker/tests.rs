#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::*;

fn docker() -> Docker {
    Docker { program: "docker".into(), arguments: Vec::new(), allowed_volumes: Vec::new() }
}

fn planned(docker: &Docker, task_type: &str, payload: Value) -> Result<Plan, String> {
    let task = json!({ "task_id": "0AB", "task_type": task_type, "payload": payload, "attempts": 2 });
    docker.plan(&Task::read(&task).unwrap())
}

fn arguments(plan: &Plan, step: usize) -> Vec<&str> {
    plan.steps[step].arguments.iter().map(String::as_str).collect()
}

#[test]
fn a_payload_becomes_arguments_of_docker_run() {
    let payload = json!({ "image": "alpine:3", "command": ["echo", "-n", "$(id)"], "entrypoint": "sh -c",
        "environment": { "A": "1 --privileged", "N": 2 }, "memory_limit": "1g", "priority": 3 });
    let docker = Docker { arguments: vec!["--network=none".into()], ..docker() };
    let plan = planned(&docker, EXECUTE, payload).unwrap();
    let expected = [
        "run",
        "--rm",
        "--name=ringmesh-0AB-2",
        "--network=none",
        "--memory=1g",
        "--env=A=1 --privileged",
        "--env=N=2",
        "--entrypoint=sh",
        "alpine:3",
        "-c",
        "echo",
        "-n",
        "$(id)",
    ];
    assert_eq!(arguments(&plan, 0), expected);
    assert!(plan.steps[0].gives_result && plan.remarks.is_empty());
    assert_eq!(plan.cleanup[0].arguments, ["rm", "--force", "ringmesh-0AB-2"]);
}

#[test]
fn a_repository_is_built_run_and_removed() {
    let payload = json!({ "repo_url": "https://x/y", "branch": "dev/1", "dockerfile_path": "d/Dockerfile",
        "context_path": "sub", "build_args": { "B": "2" }, "command": "run 'a b'" });
    let plan = planned(&docker(), GITHUB, payload).unwrap();
    let build = [
        "build",
        "--tag=ringmesh-task:0ab",
        "-f",
        "d/Dockerfile",
        "--build-arg=B=2",
        "https://x/y.git#dev/1:sub",
    ];
    assert_eq!(arguments(&plan, 0), build);
    assert_eq!(
        arguments(&plan, 1),
        ["run", "--rm", "--name=ringmesh-0AB-2", "ringmesh-task:0ab", "run", "a b"]
    );
    assert_eq!((plan.steps[0].gives_result, plan.cleanup.len()), (false, 2));
    let defaults = planned(&docker(), GITHUB, json!({ "repo_url": "https://x/y.git/" })).unwrap();
    assert_eq!(arguments(&defaults, 0)[4], "https://x/y.git#main:.");
}

#[test]
fn nothing_in_a_payload_becomes_an_option_or_a_place_of_this_machine() {
    for (payload, member) in [
        (json!({}), "image"),
        (json!({ "image": "--privileged" }), "image"),
        (json!({ "image": "-v/:/host" }), "image"),
        (json!({ "image": "a b" }), "image"),
        (json!({ "image": "a\u{0}" }), "image"),
        (json!({ "image": 7 }), "image"),
        (json!({ "image": "a", "command": [1] }), "command"),
        (json!({ "image": "a", "command": "'open" }), "command"),
        (json!({ "image": "a", "environment": { "HOME": null } }), "environment"),
        (json!({ "image": "a", "environment": { "A=B": "x" } }), "environment"),
        (json!({ "image": "a", "environment": { "": "x" } }), "environment"),
        (json!({ "image": "a", "environment": { "-e": "x" } }), "environment"),
        (json!({ "image": "a", "memory_limit": "1g --privileged" }), "memory_limit"),
        (json!({ "image": "a", "cpu_limit": "all" }), "cpu_limit"),
        (json!({ "image": "a", "working_dir": "x" }), "working_dir"),
        (json!({ "image": "a", "volumes": ["/:/host"] }), "volumes"),
    ] {
        let why = planned(&docker(), EXECUTE, payload.clone()).unwrap_err();
        assert!(why.contains(member), "{payload}: {why}");
    }
    for (field, value) in [
        ("repo_url", "/etc"),
        ("repo_url", "."),
        ("repo_url", "-f"),
        ("repo_url", "file:///etc"),
        ("repo_url", "http://x/y"),
        ("repo_url", "https://u:p@x/y"),
        ("repo_url", "https://x/y#main"),
        ("repo_url", "https://-x/y"),
        ("repo_url", "https://x/../y"),
        ("branch", "-x"),
        ("branch", "a:b"),
        ("branch", "a..b"),
        ("context_path", "../x"),
        ("context_path", "/etc"),
        ("context_path", "-x"),
        ("dockerfile_path", "/etc/passwd"),
        ("dockerfile_path", "--output=/"),
        ("dockerfile_path", "a/../../b"),
    ] {
        let mut payload = json!({ "repo_url": "https://x/y" });
        payload[field] = value.into();
        let why = planned(&docker(), GITHUB, payload).unwrap_err();
        assert!(why.contains(field), "{field} {value}: {why}");
    }
}

#[test]
fn volumes_lie_below_an_allowed_directory_wherever_links_lead() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    for name in ["data/in", "data-secret", "other"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    symlink(root.join("other"), root.join("data/out")).unwrap();
    symlink(root.join("data/in"), root.join("data/inner")).unwrap();
    let docker = Docker { allowed_volumes: vec![root.join("data")], ..docker() };
    let mount = |host: &str, inside: &str| {
        let host = root.join(host).display().to_string();
        planned(&docker, EXECUTE, json!({ "image": "a", "volumes": { host: inside } }))
    };
    let at = |plan: Plan| plan.steps[0].arguments[3].clone();
    let shown = root.display();
    assert_eq!(
        at(mount("data/in", "/x").unwrap()),
        format!("--mount=type=bind,source={shown}/data/in,target=/x")
    );
    let read_only = format!("--mount=type=bind,source={shown}/data/in,target=/x,readonly");
    assert_eq!(at(mount("data/inner", "/x:ro").unwrap()), read_only);
    for (host, inside) in [
        ("data/out", "/x"),
        ("data/../other", "/x"),
        ("data/in/../../other", "/x"),
        ("data-secret", "/x"),
        ("other", "/x"),
        ("data/none", "/x"),
        ("data/in", "x"),
        ("data/in", "/"),
        ("data/in", "/a/../b"),
        ("data/in", "/x,readonly=false"),
        ("data/in", "/x:shared"),
        ("data/in,source=/", "/x"),
    ] {
        let why = mount(host, inside).unwrap_err();
        assert!(why.contains("volume"), "{host} {inside}: {why}");
    }
    for host in ["/", "/etc", "name", "../data", ""] {
        let volumes = json!({ "image": "a", "volumes": { host: "/x" } });
        assert!(planned(&docker, EXECUTE, volumes).is_err(), "{host}");
    }
}

#[test]
fn what_is_not_done_is_said() {
    let plan = planned(&docker(), EXECUTE, json!({ "image": "a", "privileged": true })).unwrap();
    assert_eq!(plan.remarks, ["[\"privileged\" in the payload is ignored by this worker]"]);
    assert_eq!(arguments(&plan, 0), ["run", "--rm", "--name=ringmesh-0AB-2", "a"]);
}
