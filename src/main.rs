//! The program `appserver`: the library's command line, with nothing embedded.

use std::process::ExitCode;

fn main() -> ExitCode {
    appserver::Server::from_args().run()
}
