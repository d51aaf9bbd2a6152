//! The percentile distribution of a histogram as text, in the form that the plotters of HdrHistogram read.

use hdrhistogram::Histogram;

/// Lines for each halving of the distance to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// The text; values in milliseconds, of a histogram of nanoseconds.
pub(super) fn text(histogram: &Histogram<u64>) -> String {
    let ms = |ns: f64| ns / 1e6;
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for value in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        let (at, quantile) = (ms(value.value_iterated_to() as f64), value.quantile_iterated_to());
        let count = histogram.count_between(0, value.value_iterated_to());
        text.push_str(&format!("{at:>12.6} {quantile:>14.12} {count:>10}"));
        if quantile < 1.0 {
            text.push_str(&format!(" {:>14.2}", 1.0 / (1.0 - quantile)));
        }
        text.push('\n');
    }
    let (mean, deviation) = (ms(histogram.mean()), ms(histogram.stdev()));
    let (max, count) = (ms(histogram.max() as f64), histogram.len());
    text.push_str(&format!("#[Mean    = {mean:>12.6}, StdDeviation   = {deviation:>12.6}]\n"));
    text.push_str(&format!("#[Max     = {max:>12.6}, Total count    = {count:>12}]\n"));
    let buckets = u64::BITS - histogram.high().leading_zeros();
    let sub_buckets = 2 * 10u64.pow(u32::from(histogram.sigfig())).next_power_of_two();
    text.push_str(&format!("#[Buckets = {buckets:>12}, SubBuckets     = {sub_buckets:>12}]\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::latencies;

    #[test]
    fn the_text_says_again_what_was_recorded() {
        let mut histogram = latencies();
        for us in 1..=10_000_u64 {
            histogram.record(us * 1_000).unwrap();
        }
        let text = text(&histogram);
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|number| number.parse().unwrap()).collect())
            .collect();
        assert!(rows.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][2] <= pair[1][2]));
        let median = rows.iter().find(|row| row[1] >= 0.5).unwrap();
        assert!((median[0] - 5.0).abs() < 0.02 && (median[2] - 5_000.0).abs() < 20.0, "{median:?}");
        assert!((median[3] - 2.0).abs() < 0.01);
        let last = rows.last().unwrap();
        assert!((last[0] - 10.0).abs() < 0.02 && last[2] == 10_000.0 && last.len() == 3, "{last:?}");
        assert!(text.contains("Total count    =        10000]"), "{text}");
    }
}
