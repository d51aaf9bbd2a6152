//! The page: one file that needs nothing else, with plots that are drawn here, so that it is whole without scripts.

mod plot;
mod tables;

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::model::{Load, Report, Run};
use crate::stats::{latencies, percentile_us};
use plot::{Line, Plot, Scale};

const STYLE: &str = include_str!("style.css");
/// Percentiles that a curve has points at.
const PERCENTILES: [f64; 22] = [
    0.0, 10.0, 25.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.0, 98.0, 99.0, 99.5,
    99.7, 99.9, 99.95, 99.99, 99.999,
];

/// The whole page.
pub(super) fn html(report: &Report) -> String {
    let mut page = String::new();
    let title = escape(&report.title);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    let _ = writeln!(page, "<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>");
    let _ = writeln!(page, "<h1>{title}</h1>\n<p class=\"when\">{}</p>", when(report.started_unix_ms));
    page.push_str("</header>\n<main>\n");
    banner(&mut page, report);
    tables::comparisons(&mut page, report);
    plots(&mut page, report);
    tables::runs(&mut page, report);
    tables::environment(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// What must be known before any figure: void runs and notes.
fn banner(page: &mut String, report: &Report) {
    let void: Vec<&Run> = report.runs.iter().filter(|run| !run.counts()).collect();
    if !void.is_empty() {
        let (count, all) = (void.len(), report.runs.len());
        let _ = writeln!(
            page,
            "<section class=\"void\" role=\"alert\"><h2>{count} of {all} runs are void</h2>\n\
             <p>They are left out of every plot and comparison. The reasons are in the <a href=\"#runs\">table of \
             runs</a>; the first one: {}.</p></section>",
            escape(void[0].void_reasons.first().map_or("unknown", String::as_str))
        );
    }
    if !report.notes.is_empty() {
        page.push_str("<section class=\"notes\"><h2>Read this first</h2><ul>\n");
        for note in &report.notes {
            let _ = writeln!(page, "<li>{}</li>", escape(note));
        }
        page.push_str("</ul></section>\n");
    }
}

/// The runs of one load, server by server in the order in which they first ran.
struct Group<'a> {
    load: &'a Load,
    subjects: Vec<(&'a str, Vec<&'a Run>)>,
}

fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for run in report.runs.iter().filter(|run| run.counts()) {
        let at = groups.iter().position(|group| *group.load == run.load).unwrap_or_else(|| {
            groups.push(Group { load: &run.load, subjects: Vec::new() });
            groups.len() - 1
        });
        let subjects = &mut groups[at].subjects;
        match subjects.iter_mut().find(|(name, _)| *name == run.subject) {
            Some((_, runs)) => runs.push(run),
            None => subjects.push((&run.subject, vec![run])),
        }
    }
    groups
}

fn plots(page: &mut String, report: &Report) {
    let groups = groups(report);
    // A server has one look in all plots, whatever loads it took part in.
    let mut names: Vec<&str> = Vec::new();
    report.runs.iter().for_each(|run| {
        if !names.contains(&run.subject.as_str()) {
            names.push(&run.subject);
        }
    });
    let look = |name: &str| names.iter().position(|known| *known == name).unwrap_or_default();
    if groups.is_empty() {
        page.push_str(
            "<section><h2>Plots</h2><p>No run counts, so there is nothing to draw.</p></section>\n",
        );
        return;
    }
    page.push_str("<section><h2>Latency by percentile</h2>\n<p>All rounds of a server together. The scale of the \
                   percentiles is that of the rest above them: each step to the right leaves out a tenth of what is left. \
                   An open loop's latency counts from the intended start.</p>\n<div class=\"plots\">\n");
    groups.iter().for_each(|group| percentiles(page, group, look));
    page.push_str("</div></section>\n");
    throughput(page, &groups, &names, look);
    page.push_str("<section><h2>Over time</h2>\n<p>The last round of each server that counts.</p>\n<div class=\"plots\">\n");
    groups.iter().for_each(|group| over_time(page, group, look));
    page.push_str("</div></section>\n");
}

fn percentiles(page: &mut String, group: &Group<'_>, look: impl Fn(&str) -> usize) {
    let lines = group.subjects.iter().map(|(name, runs)| {
        let histogram = merged(runs);
        let points = PERCENTILES.iter().filter_map(|at| {
            let us = percentile_us(&histogram, *at)?;
            // The distance to all of them, as a power of ten.
            Some((-(1.0 - at / 100.0).log10(), us / 1e3))
        });
        Line { name: (*name).to_owned(), look: look(name), points: points.collect() }
    });
    let plot = Plot {
        title: group.load.words(),
        x: Scale::nines(),
        x_name: "percentile",
        y_name: "latency, ms",
        lines: lines.collect(),
        dots: false,
    };
    plot.draw(page);
}

/// Throughput against latency, for every mix that ran under more than one load.
fn throughput(page: &mut String, groups: &[Group<'_>], names: &[&str], look: impl Fn(&str) -> usize) {
    let mut kinds: Vec<(&str, Option<&str>)> = Vec::new();
    for group in groups {
        let kind = (group.load.mix.as_str(), group.load.layout.as_deref());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let mut drawn = String::new();
    for (mix, layout) in kinds {
        let of_kind = || {
            let is = |group: &&Group<'_>| group.load.mix == mix && group.load.layout.as_deref() == layout;
            groups.iter().filter(is)
        };
        if of_kind().count() < 2 {
            continue;
        }
        let line = |name: &&str| {
            let points = of_kind().filter_map(|group| {
                let (_, runs) = group.subjects.iter().find(|(subject, _)| subject == name)?;
                let rate = runs.iter().map(|run| run.operations_per_second).sum::<f64>() / runs.len() as f64;
                let all = merged(runs);
                // With too few samples for a percentile the largest one has to do.
                let us = percentile_us(&all, 99.0).unwrap_or(all.max() as f64 / 1e3);
                Some((rate, us / 1e3))
            });
            let mut points: Vec<(f64, f64)> = points.collect();
            points.sort_by(|one, two| one.0.total_cmp(&two.0));
            Line { name: (*name).to_owned(), look: look(name), points }
        };
        let lines: Vec<Line> = names.iter().map(line).filter(|line| !line.points.is_empty()).collect();
        let largest = lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(0.0, f64::max);
        let title = layout.map_or_else(|| mix.to_owned(), |layout| format!("{mix}, {layout}"));
        let (x, x_name, y_name) = (Scale::from_zero(largest), "operations a second", "p99 or largest, ms");
        Plot { title, x, x_name, y_name, lines, dots: true }.draw(&mut drawn);
    }
    if !drawn.is_empty() {
        page.push_str("<section><h2>Throughput against latency</h2>\n<p>A point for each load: the further right and the \
                       lower, the better.</p>\n<div class=\"plots\">\n");
        page.push_str(&drawn);
        page.push_str("</div></section>\n");
    }
}

fn over_time(page: &mut String, group: &Group<'_>, look: impl Fn(&str) -> usize) {
    type Figure = fn(&crate::series::Point) -> Option<f64>;
    let figures: [(&str, &'static str, Figure); 2] = [
        ("throughput", "operations a second", |point| Some(point.per_second)),
        // A tenth of a second seldom has the thousand samples that a percentile needs.
        ("p99", "p99 or largest, ms", |point| point.p99_us.or(point.max_us).map(|us| us / 1e3)),
    ];
    for (what, y_name, figure) in figures {
        let lines = group.subjects.iter().filter_map(|(name, runs)| {
            let points = runs.last()?.series.iter().filter_map(|point| Some((point.at_s, figure(point)?)));
            Some(Line { name: (*name).to_owned(), look: look(name), points: points.collect() })
        });
        let lines: Vec<Line> = lines.collect();
        let largest = lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(0.0, f64::max);
        let title = format!("{}: {what}", group.load.words());
        Plot { title, x: Scale::from_zero(largest), x_name: "seconds", y_name, lines, dots: false }
            .draw(page);
    }
}

fn merged(runs: &[&Run]) -> Histogram<u64> {
    let mut all = latencies();
    for run in runs {
        all.add(&run.histogram).expect("invariant: all histograms have the same bounds");
    }
    all
}

/// Text that stands for itself in HTML, within elements and attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A moment as year, month, day and time in UTC.
fn when(unix_ms: u64) -> String {
    let (days, seconds) = ((unix_ms / 86_400_000) as i64, unix_ms / 1_000 % 86_400);
    // Days to a date of the proleptic Gregorian calendar, in eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        assert_eq!(when(0), "1970-01-01 00:00 UTC");
        assert_eq!(when(951_827_696_000), "2000-02-29 12:34 UTC");
        assert_eq!(when(1_795_392_000_000), "2026-11-23 00:00 UTC");
    }

    #[test]
    fn what_users_name_is_text() {
        assert_eq!(escape("<b title='x\">&"), "&lt;b title=&#39;x&quot;&gt;&amp;");
    }
}
