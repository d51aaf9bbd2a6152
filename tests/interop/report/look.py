"""Opens the page of a report in headless Chromium and says what is wrong with it."""

import html
import json
import pathlib
import re
import subprocess
import sys
import tempfile

# What the page is asked, at each width. The frame has the page's own markup, so it may be looked into.
PROBE = """
<!doctype html><meta charset="utf-8"><body>
<iframe style="border:0;width:WIDTHpx;height:4000px" srcdoc="PAGE"></iframe>
<script>
addEventListener("load", () => {
  const inner = document.querySelector("iframe").contentDocument;
  const root = inner.documentElement, style = frame => inner.defaultView.getComputedStyle(frame);
  const boxes = [...inner.querySelectorAll("figure > svg")].map(svg => svg.getBoundingClientRect());
  const found = {
    overflow: root.scrollWidth - root.clientWidth,
    plots: boxes.filter(box => box.width > 200 && box.height > 100).length,
    lines: inner.querySelectorAll("figure > svg .line").length,
    rows: inner.querySelectorAll("#runs tbody tr").length,
    headings: [...inner.querySelectorAll("h2")].map(heading => heading.textContent),
    unlabelled: [...inner.querySelectorAll("svg[role=img]")].filter(svg => !svg.querySelector("title")).length,
    paper: style(inner.body).backgroundColor,
    text: Math.min(...[...inner.querySelectorAll("figure text")].map(text => text.getBoundingClientRect().height)),
  };
  document.body.dataset.found = JSON.stringify(found);
});
</script>
"""


def ask(page: str, width: int, dark: bool) -> dict:
    """What the page looks like at a width, in the light or in the dark."""
    with tempfile.TemporaryDirectory() as folder:
        probe = pathlib.Path(folder, "probe.html")
        probe.write_text(PROBE.replace("WIDTH", str(width)).replace("PAGE", html.escape(page)))
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--user-data-dir={folder}/profile",
            "--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom", probe.as_uri(),
        ]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = re.findall(r"CONSOLE.*", ran.stderr)
    assert not console, f"the browser complains: {console}"
    found = re.search(r'data-found="([^"]*)"', ran.stdout)
    assert found, f"the page did not load:\n{ran.stdout[:2000]}\n{ran.stderr[-2000:]}"
    return json.loads(html.unescape(found[1]))


def check(folder: pathlib.Path) -> None:
    page = (folder / "index.html").read_text()
    runs = json.loads((folder / "report.json").read_text())["runs"]
    counted = [run for run in runs if not run["void_reasons"]]
    # Each load has a plot of percentiles and two over time; several loads together one of throughput.
    plots = 3 * len(counted) + (len(counted) > 1)
    for width in (360, 768, 1280):
        for dark in (False, True):
            found = ask(page, width, dark)
            print(width, "dark" if dark else "light", json.dumps(found))
            assert found["overflow"] <= 0, f"the page is wider than {width} px"
            assert found["plots"] == plots and found["lines"] >= plots - 1, (found, plots)
            assert found["rows"] >= len(runs) and found["unlabelled"] == 0
            assert "Runs" in found["headings"] and "Where and how" in found["headings"]
            channels = [int(channel) for channel in re.findall(r"\d+", found["paper"])[:3]]
            assert (max(channels) < 60) if dark else (min(channels) > 200), found["paper"]
            assert not counted or found["text"] >= 8, "the plots cannot be read"
    print(f"{len(runs)} runs, {len(counted)} of them counted: the page is whole at every width")


check(pathlib.Path(sys.argv[1]))
