//! The command `ringmesh`.

use std::process::ExitCode;

use ringmesh::cli::{self, Command, exit};
use ringmesh::{Server, ServerError, runtime};

fn main() -> ExitCode {
    runtime::prepare_process();
    match cli::parse() {
        Ok(Command::Serve(serve)) => run(&serve),
        Ok(Command::Check(check)) => cli::run_check(&check),
        Ok(Command::Id(id)) => cli::run_id(&id),
        Ok(Command::Client(command)) => cli::run_client(*command),
        Ok(Command::Completions(completions)) => cli::print_completions(&completions),
        Ok(Command::Journal(journal)) => cli::run_journal(&journal),
        Ok(Command::Keys(keys)) => cli::run_keys(&keys),
        Ok(Command::Worker(flags)) => cli::run_worker(*flags),
        Ok(Command::WorkerReaper) => cli::run_reaper(),
        Err(code) => code,
    }
}

fn run(serve: &cli::Serve) -> ExitCode {
    let loaded = match cli::configure(serve) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let server = Server::new(loaded.config)
        .builtin_tools()
        .handle_signals()
        .notify_service_manager()
        .default_data_dir();
    match server.run() {
        Ok(_) => ExitCode::from(exit::OK),
        Err(error @ ServerError::Preflight(_)) => cli::refuse(exit::PREFLIGHT, &error),
        Err(error @ (ServerError::Config(_) | ServerError::Access(_) | ServerError::Data { .. })) => {
            cli::refuse(exit::USAGE, &error)
        }
        Err(error) => cli::refuse(exit::FAILURE, &error),
    }
}
