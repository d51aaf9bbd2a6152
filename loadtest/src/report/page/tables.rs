//! The tables of the page: verdicts, runs, and where it was.

use std::fmt::Write as _;

use super::super::model::{Comparison, Report, Run};
use super::escape;

/// A figure with three significant digits, or a dash.
fn figure(value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return "–".to_owned() };
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

fn verdict(name: &str) -> &'static str {
    match name {
        "faster" => "<td class=\"faster\">▲ faster</td>",
        "slower" => "<td class=\"slower\">▼ slower</td>",
        "no_difference_shown" => "<td>no difference shown</td>",
        _ => "<td class=\"unknown\">void</td>",
    }
}

/// The verdicts, a table for each load.
pub(super) fn comparisons(page: &mut String, report: &Report) {
    if report.comparisons.is_empty() {
        return;
    }
    page.push_str("<section><h2>Verdicts</h2>\n<p>Each round runs the servers one after the other; the ratio is the \
                   median of the rounds' ratios, with the interval that holds it with at least 95 % (sign test). A difference is \
                   shown when the interval leaves out 1 and the ratio is at least 3 % away from it.</p>\n");
    let mut rest = &report.comparisons[..];
    while let Some(first) = rest.first() {
        let same =
            |one: &Comparison| one.load == first.load && one.right == first.right && one.left == first.left;
        let length = rest.iter().take_while(|one| same(one)).count();
        let (these, others) = rest.split_at(length);
        rest = others;
        one_load(page, first, these);
    }
    page.push_str("</section>\n");
}

fn one_load(page: &mut String, first: &Comparison, these: &[Comparison]) {
    let (left, right) = (escape(&first.left), escape(&first.right));
    let _ = writeln!(
        page,
        "<h3>{}</h3>\n<div class=\"wide\"><table><caption>{left} against {right}</caption>\n<thead><tr><th \
         scope=\"col\">figure</th><th scope=\"col\">{left}</th><th scope=\"col\">{right}</th><th \
         scope=\"col\">ratio</th><th scope=\"col\">rounds</th><th scope=\"col\">{left} is</th></tr></thead>\n<tbody>",
        escape(&first.load.words())
    );
    for one in these {
        let ratio = match (one.ratio_median, one.ratio_low, one.ratio_high) {
            (Some(median), Some(low), Some(high)) => format!("{median:.2} ({low:.2}–{high:.2})"),
            _ => "–".to_owned(),
        };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{ratio}</td><td>{} of {}</td>{}</tr>",
            escape(&one.metric),
            figure(one.left_median),
            figure(one.right_median),
            one.pairs,
            one.rounds,
            verdict(one.verdict)
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// Every run.
pub(super) fn runs(page: &mut String, report: &Report) {
    let _ = writeln!(
        page,
        "<section id=\"runs\"><h2>Runs</h2>\n<details{}><summary>All {} runs</summary>\n<div class=\"wide\"><table>\
         <caption>Latencies in milliseconds; CPU time of the server in microseconds per request</caption>\n<thead><tr>",
        if report.runs.len() <= 12 { " open" } else { "" },
        report.runs.len()
    );
    let heads = [
        "server",
        "load",
        "round",
        "operations/s",
        "p50",
        "p99",
        "max",
        "generator late, p99",
        "CPU",
        "switches/request",
        "errors",
        "histogram",
    ];
    heads.iter().for_each(|head| {
        let class = if *head == "load" { " class=\"text\"" } else { "" };
        let _ = write!(page, "<th scope=\"col\"{class}>{head}</th>");
    });
    page.push_str("</tr></thead>\n<tbody>\n");
    report.runs.iter().for_each(|run| one_run(page, run));
    page.push_str("</tbody></table></div></details></section>\n");
}

fn one_run(page: &mut String, run: &Run) {
    let ms = |us: Option<f64>| figure(us.map(|us| us / 1e3));
    let cost = run.server.as_ref();
    let errors: u64 = run.errors.values().sum();
    let file = escape(&run.latency.file);
    let class = if run.counts() { "" } else { " class=\"void\"" };
    let _ = writeln!(
        page,
        "<tr{class}><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td>{}</td><td>{}</td><td>{}</td><td>{errors}</td><td><a href=\"{file}\">.hgrm</a></td></tr>",
        escape(&run.subject),
        escape(&run.load.words()),
        run.round + 1,
        figure(Some(run.operations_per_second)),
        ms(run.latency.us.p50),
        ms(run.latency.us.p99),
        ms(Some(run.latency.us.max)),
        ms(run.lag_us.as_ref().and_then(|lag| lag.p99)),
        figure(cost.map(|cost| cost.cpu_us_per_request)),
        figure(cost.map(|cost| cost.context_switches_per_request)),
    );
    for reason in &run.void_reasons {
        let _ = writeln!(
            page,
            "<tr class=\"void\"><td class=\"text\" colspan=\"12\">void: {}</td></tr>",
            escape(reason)
        );
    }
    for note in &run.notes {
        let _ = writeln!(page, "<tr><td class=\"text\" colspan=\"12\">note: {}</td></tr>", escape(note));
    }
}

/// Where it was, and how to do it again.
pub(super) fn environment(page: &mut String, report: &Report) {
    page.push_str("<section><h2>Where and how</h2>\n<div class=\"wide\"><table class=\"facts\"><tbody>\n");
    let mut rows = report.environment.rows();
    rows.push(("Seed", report.seed.to_string()));
    for (name, value) in rows {
        let value = escape(&value);
        let _ = writeln!(page, "<tr><th scope=\"row\">{name}</th><td class=\"text\">{value}</td></tr>");
    }
    let _ = writeln!(
        page,
        "</tbody></table></div>\n<p>The same again:</p>\n<pre>{}</pre>\n<p>All figures are in <a \
         href=\"report.json\">report.json</a>.</p></section>",
        escape(&report.command)
    );
}
