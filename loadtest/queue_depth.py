#!/usr/bin/env python3
"""What queued tasks cost: the cycle of submit, claim and complete at growing depths, memory a task, recovery.

Usage: queue_depth.py [--depths 1000,10000,100000,1000000] [--rounds 3] [--duration-s 2] [--connections 16]
                      [--journal-mode none] [--server-cpu 0] [--client-cpu 1] [--dir FOLDER] [--out FOLDER]

Build first: cargo build --release --workspace. One server is filled from depth to depth over HTTP; at each depth cycles are
run against it, which leave the depth as it is, and its memory is read. After the last one it is ended with SIGTERM and
started again, and what its log says of the recovery is printed.
"""

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "target/release/ringmesh"
GENERATOR = ROOT / "target/release/ringmesh-loadtest"
LISTENS = re.compile(r"running at http://([0-9.:]+)/")
# The figure of a colored log line has escapes around it.
RECOVERED = re.compile(r"recovered the task queue.*")
QUEUED = re.compile(r'^ringmesh_queue_tasks\{status="queued"\} (\d+)', re.M)


def start(folder, args):
    command = ["taskset", "-c", str(args.server_cpu), str(SERVER), "serve", "--listen", "127.0.0.1:0"]
    command += ["--cores", str(args.server_cpu), "--journal-mode", args.journal_mode, "--data-dir", folder]
    begun = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    log = ""
    for line in process.stderr:
        log += line
        found = LISTENS.search(line)
        if found:
            return process, found.group(1), time.monotonic() - begun, log
    raise SystemExit(f"the server did not start: {log}")


def end(process):
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def queued(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        return int(QUEUED.search(answer.read().decode()).group(1))


def rss_bytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def load(address, pid, rounds, connections, duration_s, args):
    command = [str(GENERATOR), "queue", "--target", address, "--round", rounds, "--protocol", "tools"]
    command += ["--connections", str(connections), "--cpu", str(args.client_cpu), "--server-pid", str(pid)]
    command += ["--warmup-s", "0.2", "--duration-s", str(duration_s)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if not done.stdout.startswith("{"):
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    report = json.loads(done.stdout)
    if report["errors"]:
        raise SystemExit(f"void: {report['first_error']}")
    return report


def fill(address, pid, depth, args):
    while (missing := depth - queued(address)) > 0:
        # As long as it may take at 20,000 a second, so that it hardly goes past the depth.
        load(address, pid, "submit", 64, min(max(missing / 20_000 - 0.2, 0.05), 20), args)


def measure(address, pid, depth, args):
    fill(address, pid, depth, args)
    memory = rss_bytes(pid)
    runs = [load(address, pid, "cycle", args.connections, args.duration_s, args) for _ in range(args.rounds)]
    middle = {key: statistics.median(run[key] for run in runs) for key in ("rounds_per_s", "p50_us", "p99_us", "server_cpu_us")}
    return {"depth": queued(address), "rss_bytes": memory, **middle}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", default="1000,10000,100000,1000000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration-s", type=float, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--journal-mode", default="none")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=ROOT / "target")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with TemporaryDirectory(dir=args.dir) as folder:
        process, address, _, _ = start(folder, args)
        empty = rss_bytes(process.pid)
        try:
            rows = [measure(address, process.pid, int(depth), args) for depth in args.depths.split(",")]
        finally:
            end(process)
        process, _, ready_s, log = start(folder, args)
        end(process)
    print("| queued | cycles/s | p50 µs | p99 µs | server CPU µs/cycle | memory, bytes a task |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        each = (row["rss_bytes"] - empty) / row["depth"]
        figures = f"{row['rounds_per_s']:,.0f} | {row['p50_us']:,.0f} | {row['p99_us']:,.0f} | {row['server_cpu_us']:.1f}"
        print(f"| {row['depth']:,} | {figures} | {each:,.0f} |")
    recovered = RECOVERED.search(log)
    print(f"\nstarted again, it listened after {ready_s:.2f} s; it says: {recovered and recovered.group(0)}")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        report = {"rows": rows, "empty_rss_bytes": empty, "ready_s": ready_s}
        (args.out / "queue-depth.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    sys.exit(main())
