#!/usr/bin/env python3
"""Our libp2p stack and stock rust-libp2p side by side: server and client on one core each, interleaved rounds.

Usage: p2p_compare.py [--rounds 7] [--duration-s 3] [--warmup-s 0.5] [--server-cpu 0] [--client-cpu 1] [--out FOLDER]
       p2p_compare.py --idle 10000 [--out FOLDER]

Build first: cargo build --release --workspace, and --manifest-path loadtest/peers/libp2p-tokio/Cargo.toml.
It writes p2p.md and p2p.json, or p2p-idle.json. Exit code 3: a run had wrong answers and its figures must not be used.
"""

import argparse
import json
import os
import platform
import re
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "target/release/ringmesh"
GENERATOR = ROOT / "target/release/ringmesh-loadtest"
STOCK = ROOT / "loadtest/peers/libp2p-tokio/target/release/peer-libp2p-tokio"
OURS = "ringmesh"
MULTIADDR = re.compile(r"/ip4/127\.0\.0\.1/tcp/\d+/p2p/\w+")
VOID = 3

# How stock is used: flags of its server and of its client. The shapes name those that are measured there.
STOCK_WAYS = {
    "libp2p-stream": (["--api", "stream"], ["--api", "stream", "--lazy", "false"]),
    "libp2p-stream, lazy": (["--api", "stream"], ["--api", "stream", "--lazy", "true"]),
    "request-response, lazy": (["--api", "request-response"], ["--api", "request-response", "--lazy", "true"]),
}
# Lazily negotiated streams are left out where many open at once: the server's libp2p-stream drops most of them.
SHAPES = [
    ("stream-per-request", 32, ["libp2p-stream", "request-response, lazy"]),
    ("long-lived", 32, ["libp2p-stream"]),
    ("stream-per-request", 1, ["libp2p-stream, lazy", "request-response, lazy"]),
    ("long-lived", 1, ["libp2p-stream"]),
]
FIGURES = [
    ("requests_per_s", "requests/s", "{:.0f}"),
    ("p50_us", "p50 µs", "{:.0f}"),
    ("p99_us", "p99 µs", "{:.0f}"),
    ("server_cpu_us", "server CPU µs/request", "{:.2f}"),
    ("client_cpu_us", "client CPU µs/request", "{:.2f}"),
]


class Server:
    """A server process pinned to its core, and the multiaddr that it prints."""

    def __init__(self, command, cpu):
        self.state = tempfile.TemporaryDirectory()
        self.log = open(Path(self.state.name) / "log", "w+")
        environment = dict(os.environ, NO_COLOR="1", RINGMESH_DATA_DIR=self.state.name)
        pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
        # taskset replaces itself by the server, so the process id is the server's.
        self.process = subprocess.Popen(
            pin + command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment
        )
        self.address = self.wait()

    def wait(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            found = MULTIADDR.search(Path(self.log.name).read_text())
            if found:
                return found.group(0)
            time.sleep(0.02)
        self.stop()
        raise SystemExit(f"the server did not say where it listens: {self.text}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.text = Path(self.log.name).read_text()
        self.log.close()
        self.state.cleanup()


def our_server(cpu):
    command = [str(SERVER), "serve", "--listen", "127.0.0.1:0", "--p2p-listen", "/ip4/127.0.0.1/tcp/0"]
    return Server(command + ["--cores", str(cpu)], cpu)


def client(command, cpu):
    """The report that a client prints, and whether every answer was right."""
    command = ["taskset", "-c", str(cpu)] + command
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(f"{shlex.join(command)}: {done.stderr or done.stdout}")
    report = json.loads(lines[-1])
    report["void"] = done.returncode != 0 or report["errors"] > 0
    return report


def once(way, mode, in_flight, args, answer_bytes):
    shape = ["--mode", mode, "--in-flight", str(in_flight)]
    shape += ["--warmup-s", str(args.warmup_s), "--duration-s", str(args.duration_s)]
    if way == OURS:
        server = our_server(args.server_cpu)
        command = [str(GENERATOR), "p2p", "--cpu", str(args.client_cpu)]
    else:
        serve, load = STOCK_WAYS[way]
        server = Server([str(STOCK), "serve", *serve, "--answer-bytes", str(answer_bytes)], args.server_cpu)
        command = [str(STOCK), "load", *load]
    try:
        command += ["--target", server.address, "--server-pid", str(server.process.pid), *shape]
        return client(command, args.client_cpu)
    finally:
        server.stop()


def compare(args):
    results, answer_bytes = [], 300
    for mode, in_flight, ways in SHAPES:
        ways = [OURS, *ways]
        rounds = []
        for number in range(args.rounds):
            order = ways if number % 2 == 0 else ways[::-1]
            reports = {}
            for way in order:
                reports[way] = once(way, mode, in_flight, args, answer_bytes)
                if way == OURS:
                    answer_bytes = reports[way]["answer_bytes"]
                told = reports[way]
                print(
                    f"{mode}, {in_flight} in flight, round {number + 1}: {way}: {told['requests_per_s']:.0f}/s,"
                    f" p50 {told['p50_us']:.0f} µs{', void' if told['void'] else ''}",
                    file=sys.stderr,
                )
            rounds.append(reports)
        results.append({"mode": mode, "in_flight": in_flight, "ways": ways, "rounds": rounds})
    return results


def spread(values, form):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form.format(middle)} ({form.format(low)}–{form.format(high)})"


def table(result):
    mode, in_flight, rounds = result["mode"], result["in_flight"], result["rounds"]
    kept = [reports for reports in rounds if not any(report["void"] for report in reports.values())]
    lines = [f"#### {mode}, {in_flight} in flight (median of {len(kept)}, min–max)", ""]
    if not kept:
        return "\n".join([*lines, "Every round was void.", ""])
    lines.append("| | " + " | ".join(title for _, title, _ in FIGURES) + " | dropped streams | request, answer B |")
    lines.append("|---" * (len(FIGURES) + 3) + "|")
    for way in result["ways"]:
        reports = [reports[way] for reports in kept]
        cells = [spread([report[key] for report in reports], form) for key, _, form in FIGURES]
        dropped = sum(report["dropped"] for report in reports)
        last = reports[-1]
        lines.append(f"| {way} | {' | '.join(cells)} | {dropped} | {last['request_bytes']}, {last['answer_bytes']} |")
    lines.append("")
    for way in result["ways"][1:]:
        ratios = []
        for key, title, _ in FIGURES:
            values = [reports[OURS][key] / reports[way][key] for reports in kept if reports[way][key] > 0]
            ratios.append(f"{title} {spread(values, '{:.3f}')}" if values else f"{title} –")
        lines += [f"{OURS} / {way}, round by round: " + ", ".join(ratios) + ".", ""]
    return "\n".join(lines)


def machine(args):
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    git = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "cpu_model": model.group(1) if model else "unknown",
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "commit": git.stdout.strip(),
        "load_average": os.getloadavg(),
        "server_cpu": args.server_cpu,
        "client_cpu": args.client_cpu,
        "command": shlex.join(["loadtest/p2p_compare.py", *sys.argv[1:]]),
    }


def idle(args):
    """So many connections that say nothing: what each costs the server and the client."""
    server = our_server(args.server_cpu)
    try:
        command = [str(GENERATOR), "p2p", "--mode", "idle", "--connections", str(args.idle)]
        command += ["--cpu", str(args.client_cpu), "--target", server.address]
        return client(command + ["--server-pid", str(server.process.pid)], args.client_cpu)
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--duration-s", type=float, default=3)
    parser.add_argument("--warmup-s", type=float, default=0.5)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--idle", type=int, default=0, metavar="CONNECTIONS")
    parser.add_argument("--out", type=Path, default=ROOT / "reports")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.idle:
        report = {"machine": machine(args), **idle(args)}
        (args.out / "p2p-idle.json").write_text(json.dumps(report, indent=1))
        print(json.dumps(report, indent=1))
        return VOID if report["void"] else 0
    here = machine(args)
    results = compare(args)
    (args.out / "p2p.json").write_text(json.dumps({"machine": here, "results": results}, indent=1))
    head = (
        f"Machine: {here['cpu_model']}, {here['cpus']} cpus, Linux {here['kernel']}. Commit: {here['commit']}.\n"
        f"Server on cpu {args.server_cpu}, client on cpu {args.client_cpu}; {args.duration_s} s measured after"
        f" {args.warmup_s} s of warm-up; load average at the start {here['load_average'][0]:.1f}.\n"
    )
    text = "\n".join([head, *map(table, results)])
    (args.out / "p2p.md").write_text(text)
    print(text)
    return VOID if any(r["void"] for x in results for rounds in x["rounds"] for r in rounds.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
