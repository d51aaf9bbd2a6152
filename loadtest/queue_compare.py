#!/usr/bin/env python3
"""Task queues side by side: this server in its journal modes, and beanstalkd with an fsync for each write (-f0).

Usage: queue_compare.py [--rounds 5] [--duration-s 3] [--warmup-s 0.5] [--server-cpu 0] [--client-cpu 1] [--dir FOLDER]
                        [--out FOLDER]

Build first: cargo build --release --workspace. Without beanstalkd (Debian has a package) its rows are left out. Server and
client have one core each, the rounds are interleaved, each connection has one request in flight and every answer is
checked. All journals lie in --dir, on one disk. It prints queue.md, and writes it with queue.json into --out.
Exit code 3: a run had wrong answers and its figures must not be used.
"""

import argparse
import json
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "target/release/ringmesh"
GENERATOR = ROOT / "target/release/ringmesh-loadtest"
LISTENS = re.compile(r"running at http://([0-9.:]+)/")
VOID = 3
# What is run: its name, the server, the round, and the connections.
SHAPES = [
    ("cycle, none", "none", "cycle", 64),
    ("cycle, always", "always", "cycle", 64),
    ("submit, none", "none", "submit", 64),
    ("submit, interval", "interval", "submit", 64),
    ("submit, always", "always", "submit", 64),
    ("submit, always", "always", "submit", 16),
    ("submit, always", "always", "submit", 1),
    ("put, beanstalkd -f0", "beanstalkd", "submit", 64),
    ("put, beanstalkd -f0", "beanstalkd", "submit", 16),
    ("put, beanstalkd -f0", "beanstalkd", "submit", 1),
]
FIGURES = [
    ("rounds_per_s", "rounds/s", "{:,.0f}"),
    ("p50_us", "p50 µs", "{:,.0f}"),
    ("p99_us", "p99 µs", "{:,.0f}"),
    ("server_cpu_us", "server CPU µs", "{:.1f}"),
    ("client_cpu_us", "client CPU µs", "{:.1f}"),
]


def ringmesh(mode, folder, args):
    command = ["taskset", "-c", str(args.server_cpu), str(SERVER), "serve", "--listen", "127.0.0.1:0"]
    command += ["--cores", str(args.server_cpu), "--journal-mode", mode, "--data-dir", str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        found = LISTENS.search(line)
        if found:
            return process, found.group(1)
    raise SystemExit(f"the server did not start: {process.wait()}")


def beanstalkd(folder, args):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["taskset", "-c", str(args.server_cpu), "beanstalkd", "-l", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command + ["-b", str(folder), "-f0"], stdin=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, f"127.0.0.1:{port}"
        time.sleep(0.02)
    raise SystemExit("beanstalkd did not start")


def once(server, rounds, connections, args):
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        start = beanstalkd if server == "beanstalkd" else lambda folder, args: ringmesh(server, folder, args)
        process, address = start(folder, args)
        command = [str(GENERATOR), "queue", "--target", address, "--round", rounds]
        command += ["--protocol", "beanstalkd" if server == "beanstalkd" else "tools"]
        command += ["--connections", str(connections), "--cpu", str(args.client_cpu)]
        command += ["--server-pid", str(process.pid)]
        command += ["--warmup-s", str(args.warmup_s), "--duration-s", str(args.duration_s)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        if not done.stdout.startswith("{"):
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")
        return json.loads(done.stdout)


def table(runs):
    lines = ["| what | connections | " + " | ".join(title for _, title, _ in FIGURES) + " |"]
    lines.append("|---" * (len(FIGURES) + 2) + "|")
    for (name, _, _, connections), reports in runs:
        cells = []
        for key, _, style in FIGURES:
            values = [report[key] for report in reports]
            spread = f" ({style.format(min(values))}–{style.format(max(values))})" if key == "rounds_per_s" else ""
            cells.append(style.format(statistics.median(values)) + spread)
        lines.append(f"| {name} | {connections} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration-s", type=float, default=3)
    parser.add_argument("--warmup-s", type=float, default=0.5)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=ROOT / "target")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    shapes = [shape for shape in SHAPES if shape[1] != "beanstalkd" or shutil.which("beanstalkd")]
    runs = [(shape, []) for shape in shapes]
    for _ in range(args.rounds):
        for (_, server, rounds, connections), reports in runs:
            reports.append(once(server, rounds, connections, args))
    text = table(runs)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "queue.md").write_text(text)
        rows = [{"what": shape[0], "connections": shape[3], "runs": reports} for shape, reports in runs]
        (args.out / "queue.json").write_text(json.dumps(rows, indent=1))
    wrong = [report["first_error"] for _, reports in runs for report in reports if report["errors"]]
    if wrong:
        print(f"void: {wrong[0]}", file=sys.stderr)
        sys.exit(VOID)


if __name__ == "__main__":
    main()
