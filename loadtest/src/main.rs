//! The command `ringmesh-loadtest`: loads an MCP server, checks every answer and says what it cost.
//!
//! The main path: [`options`] → [`run`] → one [`worker`] a thread → one [`lane`] a connection, which its [`source`] tells
//! when to begin which operation of the [`mix`] → [`checker`] → [`run_result`] → [`report`]. [`knee`] repeats that over
//! several rates, [`mod@compare`] over several servers, two of which [`serve`] has.

mod answer;
mod checker;
mod compare;
#[cfg(test)]
mod end_to_end;
mod fault;
mod gate;
mod instructions;
mod key;
mod knee;
mod lane;
mod machine;
mod mix;
mod options;
mod p2p;
mod pace;
mod probe;
mod procfs;
mod progress;
mod queue;
mod report;
mod request;
mod run;
mod run_result;
mod series;
mod serve;
mod source;
mod stats;
mod values;
mod wire;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;

use machine::Machine;
use options::{Cli, Command, LoadArgs, Output};
use report::{Environment, Report};
use run_result::RunResult;

/// Exit code of a run whose figures must not be used.
const EXIT_VOID: u8 = 3;

#[allow(clippy::print_stderr, reason = "a command tells its user what went wrong")]
fn main() -> ExitCode {
    ringmesh::runtime::prepare_process();
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Some(Command::Compare(args)) => compare(args),
        Some(Command::P2p(args)) => p2p::run(args).map(|report| {
            show(&report.json());
            report.errors > 0
        }),
        Some(Command::Queue(args)) => queue::run(args).map(|report| {
            show(&report.json());
            report.errors > 0
        }),
        Some(Command::Instructions(args)) => instructions::run(args).map(|()| false),
        Some(Command::Serve(args)) => serve::run(args).map(|()| false),
        Some(Command::P2pCanned(args)) => p2p::serve_canned(args).map(|()| false),
        None => load(&cli.load),
    };
    match outcome {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(EXIT_VOID),
        Err(error) => {
            eprintln!("ringmesh-loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A comparison; says whether it is void. Wrong answers, and a report that could not be written, are an error, with the
/// tables shown all the same.
fn compare(args: &compare::CompareArgs) -> Result<bool, String> {
    let outcome = compare::run(args)?;
    show(&outcome.markdown);
    let wrong = &outcome.wrong;
    let wrong =
        (!wrong.is_empty()).then(|| format!("wrong answers in {} runs:\n{}", wrong.len(), wrong.join("\n")));
    let errors: Vec<String> = wrong.into_iter().chain(outcome.unwritten).collect();
    if errors.is_empty() { Ok(outcome.is_void) } else { Err(errors.join("\n")) }
}

/// One run, or one for each of several rates; says whether there is one that must not be used.
fn load(args: &LoadArgs) -> Result<bool, String> {
    let started = SystemTime::now();
    let json = |value: serde_json::Result<String>| value.map_err(|error| error.to_string());
    let is_text = args.output == Output::Text;
    if let Some(dir) = &args.out {
        report::prepare(dir)?;
    }
    if args.ramp.is_none() && !args.find_knee {
        let result = run::run(&run::Job::from_args(args)?)?;
        show(&if is_text { result.to_string() } else { json(serde_json::to_string_pretty(&result))? });
        write_report(args, started, std::slice::from_ref(&result), None)?;
        return Ok(result.void);
    }
    let sweep = knee::sweep(args, |result| {
        if is_text {
            show(&format!("{result}\n"));
        }
    })?;
    let found = sweep.knee.as_ref().map(knee::Knee::sentence);
    match &found {
        Some(found) if is_text => show(found),
        _ if is_text => {}
        _ => show(&json(serde_json::to_string_pretty(&sweep))?),
    }
    write_report(args, started, &sweep.runs, found)?;
    Ok(sweep.is_void())
}

/// Writes the report where the command line wants one, and says where it is.
fn write_report(
    args: &LoadArgs,
    started: SystemTime,
    results: &[RunResult],
    note: Option<String>,
) -> Result<(), String> {
    let (Some(dir), Some(first)) = (&args.out, results.first()) else { return Ok(()) };
    let environment = Environment {
        generator_cpus: args.shape.cpu.as_ref().map(ToString::to_string),
        ..Environment::new(Machine::here())
    };
    let mut report =
        Report::new(&format!("Load test of {}", first.target), environment, args.shape.seed, started);
    for (round, result) in (0..).zip(results) {
        report.add("server", None, round, result);
    }
    report.notes.extend(note);
    report::write(dir, &report).map(|written| said(&written))
}

/// Says where a report is.
#[allow(clippy::print_stderr, reason = "standard output holds the result itself")]
fn said(written: &report::Written) {
    eprintln!("report: {} and {}", written.page.display(), written.json.display());
}

/// Puts a result on standard output; whoever reads it may have seen enough before its end.
#[allow(clippy::print_stderr, reason = "a result that cannot be written is not lost in silence")]
fn show(text: &str) {
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("ringmesh-loadtest: the result cannot be written: {error}");
        }
        _ => {}
    }
}
