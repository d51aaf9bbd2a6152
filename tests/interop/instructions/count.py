"""Instructions for each request from its bytes to its answer's, counted by valgrind, beside the recorded figures."""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import tempfile

# A hash table's seed is another one each time; so several runs, and the median of their figures.
RUNS = 3
TIMES = (500, 1500)
ALLOWED = 0.03
# Another compiler, or another kind of processor, means other code; then only a large change says anything about ours.
ALLOWED_ELSEWHERE = 0.15
WORK = ("echo", "tools-list", "queue-cycle")


def instructions(binary: str, work: str, times: int) -> int:
    """What a whole run takes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", binary,
            "instructions", work, "--times", str(times),
        ]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    found = re.search(r"Collected : (\d+)", ran.stderr)
    if ran.returncode != 0 or not found:
        raise SystemExit(f"{' '.join(command)}: {ran.returncode}\n{ran.stdout}\n{ran.stderr[-2000:]}")
    return int(found[1])


def count(binary: str, work: str) -> tuple[float, float]:
    """Instructions for one request, and how far the runs differ."""
    few, many = TIMES
    each = [
        (instructions(binary, work, many) - instructions(binary, work, few)) / (many - few) for _ in range(RUNS)
    ]
    median = statistics.median(each)
    return median, (max(each) - min(each)) / median


def compiler() -> str:
    return subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def has_avx2() -> bool:
    """What the C library and others choose their code by; valgrind lets it through and hides what is newer."""
    return " avx2 " in pathlib.Path("/proc/cpuinfo").read_text()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--record", action="store_true", help="write the figures instead of comparing them")
    arguments.add_argument("binary")
    arguments.add_argument("recorded", type=pathlib.Path)
    given = arguments.parse_args()
    figures = {}
    for work in WORK:
        figures[work], spread = count(given.binary, work)
        print(f"{work}: {figures[work]:.0f} instructions, {spread:.2%} between runs")
    if given.record:
        rounded = {work: round(figure) for work, figure in figures.items()}
        recorded = {"compiler": compiler(), "avx2": has_avx2(), "instructions": rounded}
        given.recorded.write_text(json.dumps(recorded, indent=2) + "\n")
        print(f"recorded in {given.recorded}")
        return
    recorded = json.loads(given.recorded.read_text())
    same = (recorded["compiler"], recorded["avx2"]) == (compiler(), has_avx2())
    allowed = ALLOWED if same else ALLOWED_ELSEWHERE
    if not same:
        print(f"recorded with {recorded['compiler']}, AVX2 {recorded['avx2']}; here {compiler()}, AVX2 {has_avx2()}: "
              f"up to {allowed:.0%} are allowed")
    worse = []
    for work, before in recorded["instructions"].items():
        change = figures[work] / before - 1
        print(f"{work}: {change:+.2%} against the recorded {before}")
        if change > allowed:
            worse.append(f"{work} by {change:.1%}")
        elif change < -ALLOWED and same:
            print(f"  {work} got better: record it with tests/interop/instructions/run.sh --record")
    if worse:
        raise SystemExit(
            f"more instructions than recorded: {', '.join(worse)}; {allowed:.0%} are allowed. If that is meant, record it "
            "with tests/interop/instructions/run.sh --record and say why in the commit."
        )


main()
