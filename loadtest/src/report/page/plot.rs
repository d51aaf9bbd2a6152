//! One plot as inline SVG, with the table of its points' names beside it as a legend.

use std::fmt::Write as _;

use super::escape;

/// The drawing's size in its own units; it scales with the page.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 270.0;
/// Room for the axes' numbers and names.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;
/// About how many marks an axis has.
const MARKS: f64 = 5.0;
/// How many looks there are; servers beyond them share one.
pub(super) const LOOKS: usize = 6;

/// The line of one server.
pub(super) struct Line {
    pub(super) name: String,
    /// Its colour and dashes, the same in every plot.
    pub(super) look: usize,
    pub(super) points: Vec<(f64, f64)>,
}

/// An axis: its marks, each with its text, and how far it reaches.
pub(super) struct Scale {
    marks: Vec<(f64, String)>,
    end: f64,
}

impl Scale {
    /// From zero to at least `largest`, with marks at round numbers.
    pub(super) fn from_zero(largest: f64) -> Self {
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let rough = largest / MARKS;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
        let count = (largest / step * 0.999).ceil().max(1.0);
        let marks = (0..=count as u32).map(|at| (f64::from(at) * step, number(f64::from(at) * step, step)));
        Self { marks: marks.collect(), end: count * step }
    }

    /// Percentiles by their distance to 100 %: 50, 90, 99 and so on.
    pub(super) fn nines() -> Self {
        let marks = [("0", 0.0), ("50", 50.0), ("90", 90.0), ("99", 99.0), ("99.9", 99.9), ("99.99", 99.99)];
        let at = |percent: f64| -(1.0 - percent / 100.0_f64).log10();
        Self { marks: marks.map(|(text, percent)| (at(percent), text.to_owned())).to_vec(), end: 5.0 }
    }

    /// Cut where the points end, so that no room is left empty.
    fn cut_to(&mut self, largest: f64) {
        let next = self.marks.iter().map(|mark| mark.0).find(|at| *at >= largest * 0.999);
        self.end = next.unwrap_or(self.end);
        self.marks.retain(|mark| mark.0 <= self.end * 1.001);
    }
}

/// A number with as many digits as tell neighbouring marks apart.
fn number(value: f64, step: f64) -> String {
    if step >= 1_000.0 {
        return format!("{}k", (value / 1_000.0 * 10.0).round() / 10.0);
    }
    let mut digits = (-step.log10().floor()).max(0.0) as usize;
    // A step of 2.5 needs a digit more than its power of ten says.
    if ((step * 10f64.powi(digits as i32)).round() - step * 10f64.powi(digits as i32)).abs() > 1e-6 {
        digits += 1;
    }
    format!("{value:.digits$}")
}

/// A plot of several lines on the same axes; the vertical one begins at zero.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) x: Scale,
    pub(super) x_name: &'static str,
    pub(super) y_name: &'static str,
    pub(super) lines: Vec<Line>,
    /// Whether each point is marked.
    pub(super) dots: bool,
}

impl Plot {
    /// Appends the figure.
    pub(super) fn draw(mut self, page: &mut String) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let largest = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max);
        let (x_end, y) = (largest(|point| point.0), Scale::from_zero(largest(|point| point.1)));
        self.x.cut_to(x_end);
        let title = escape(&self.title);
        let _ = writeln!(page, "<figure>\n<figcaption>{title}</figcaption>");
        let names: Vec<String> = self.lines.iter().map(|line| escape(&line.name)).collect();
        let _ = writeln!(
            page,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{title}: {} by {} for {}</title>",
            self.y_name,
            self.x_name,
            names.join(", ")
        );
        self.axes(page, &y);
        for line in &self.lines {
            self.line(page, line, &y);
        }
        page.push_str("</svg>\n<ul class=\"legend\">\n");
        for (line, name) in self.lines.iter().zip(&names) {
            let look = line.look % LOOKS;
            let _ = writeln!(
                page,
                "<li><svg viewBox=\"0 0 30 10\" aria-hidden=\"true\"><path class=\"line l{look}\" d=\"M1 5H29\"/></svg> \
                 {name}</li>"
            );
        }
        page.push_str("</ul>\n</figure>\n");
    }

    fn x_at(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (value / self.x.end).clamp(0.0, 1.0)
    }

    fn axes(&self, page: &mut String, y: &Scale) {
        let bottom = HEIGHT - BOTTOM;
        for (value, text) in &y.marks {
            let at = y_at(*value, y);
            let (end, before, middle) = (WIDTH - RIGHT, LEFT - 6.0, at + 4.0);
            let _ = writeln!(page, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{end}\"/>");
            let _ = writeln!(page, "<text class=\"end\" x=\"{before}\" y=\"{middle:.1}\">{text}</text>");
        }
        for (value, text) in &self.x.marks {
            let (at, below) = (self.x_at(*value), bottom + 15.0);
            let _ = writeln!(page, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>");
            let _ = writeln!(page, "<text class=\"middle\" x=\"{at:.1}\" y=\"{below}\">{text}</text>");
        }
        let (centre, low) = (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, HEIGHT - 6.0);
        let _ =
            writeln!(page, "<text class=\"middle name\" x=\"{centre}\" y=\"{low}\">{}</text>", self.x_name);
        let half = TOP + (bottom - TOP) / 2.0;
        let _ = writeln!(
            page,
            "<text class=\"middle name\" transform=\"translate(12 {half}) rotate(-90)\">{}</text>",
            self.y_name
        );
    }

    fn line(&self, page: &mut String, line: &Line, y: &Scale) {
        let look = line.look % LOOKS;
        let at = |(x, value): &(f64, f64)| format!("{:.1} {:.1}", self.x_at(*x), y_at(*value, y));
        let path: Vec<String> = line.points.iter().map(at).collect();
        if path.len() > 1 {
            let _ = writeln!(page, "<path class=\"line l{look}\" d=\"M{}\"/>", path.join("L"));
        }
        if self.dots || path.len() == 1 {
            let name = escape(&line.name);
            for (x, value) in &line.points {
                let _ = writeln!(
                    page,
                    "<circle class=\"dot l{look}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{name}: {x:.0}, \
                     {value:.2}</title></circle>",
                    self.x_at(*x),
                    y_at(*value, y)
                );
            }
        }
    }
}

fn y_at(value: f64, y: &Scale) -> f64 {
    let bottom = HEIGHT - BOTTOM;
    bottom - (bottom - TOP) * (value / y.end).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_begin_at_zero_and_have_round_marks() {
        let texts = |largest| -> Vec<String> {
            Scale::from_zero(largest).marks.into_iter().map(|mark| mark.1).collect()
        };
        assert_eq!(texts(9.7), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(texts(0.11), ["0.000", "0.025", "0.050", "0.075", "0.100", "0.125"]);
        assert_eq!(texts(12_300.0), ["0k", "2.5k", "5k", "7.5k", "10k", "12.5k"]);
        assert_eq!(Scale::from_zero(0.0).end, 1.0);
    }

    #[test]
    fn percentiles_end_with_their_points() {
        let mut scale = Scale::nines();
        scale.cut_to(2.3);
        assert_eq!(scale.marks.last().unwrap().1, "99.9");
        assert!((scale.end - 3.0).abs() < 1e-9);
    }
}
