//! Signals beside tokio, and with the feature `termination` of `ctrlc` switched on somewhere in the program. Not here: launchers, and other
//! code (`tests/signals` of the main workspace).

#[path = "../../../tests/signals/table.rs"]
mod table;

fn hold(name: &str, table: &'static str) {
    table::hold(env!("CARGO_BIN_EXE_launched"), name, table);
}

/// The handlers of tokio and of the library are those of signal-hook-registry. The last row is a limit: once a shutdown was dropped, the
/// default action is taken after the other actions.
#[test]
fn tokio_and_the_library_both_hear_a_signal() {
    hold(
        "beside tokio",
        "
        | | before=tokio:TERM            | TERM | by SIGTERM, code 0, other code heard 1
        | | before=tokio:INT             | INT  | by SIGINT, code 0, other code heard 1
        | | after=tokio:TERM             | TERM | by SIGTERM, code 0, other code heard 1
        | | after=tokio:INT              | INT  | by SIGINT, code 0, other code heard 1
        | | take-back after=tokio:TERM   | TERM | by SIGTERM, code 0, other code heard 1
        | | after=tokio:HUP              | HUP TERM | by SIGTERM, code 0, other code heard 1
        | | before=tokio:HUP HUP         | HUP  | by SIGHUP, code 0, other code heard 1
        | | before=tokio:HUP             | HUP TERM | by SIGTERM, code 0, other code heard 1
        | ignored=HUP | before=tokio:HUP HUP | HUP | by SIGHUP, code 0, other code heard 1
        | ignored=TERM | before=tokio:TERM | TERM | by SIGTERM, code 0, other code heard 1
        | blocked=TERM | before=tokio:TERM | TERM | by SIGTERM, code 0, other code heard 1
        | blocked=TERM sent=TERM | after=tokio:USR1 | USR1 | by SIGTERM, code 0, other code heard 1
        unshare -Upf --map-root-user | | before=tokio:TERM | TERM | by SIGTERM, code 0, other code heard 1
        | | dropped before=tokio:TERM    | TERM USR1 | by SIGUSR1, code 0, other code heard 1
        | | dropped after=tokio:TERM     | TERM | killed by SIGTERM
        ",
    );
}

/// Case 28. SIGTERM and SIGHUP do what they did before `ctrl_c()`.
#[test]
fn ctrl_c_hears_no_sigterm_if_another_crate_switches_termination_on() {
    hold(
        "ctrlc with termination",
        "
        | | ctrl-c                                | INT       | by interrupt, code 0
        | | ctrl-c                                | TERM      | killed by SIGTERM
        | | ctrl-c                                | HUP       | killed by SIGHUP
        nohup | | ctrl-c                          | HUP INT   | by interrupt, code 0
        | ignored=TERM | ctrl-c                   | TERM INT  | by interrupt, code 0
        | ignored=INT | ctrl-c                    | INT TERM  | killed by SIGTERM
        | ignored=INT | ctrl-c hear-ignored       | INT       | by interrupt, code 0
        | | ctrl-c TERM                           | TERM      | by SIGTERM, code 0
        | | ctrl-c TERM HUP                       | HUP       | by SIGHUP, code 0
        | | ctrl-c TERM                           | HUP       | killed by SIGHUP
        nohup | | ctrl-c HUP                      | HUP INT   | by interrupt, code 0
        | | ctrl-c before=signal:TERM             | TERM INT  | by interrupt, code 0, other code heard 1
        | | ctrl-c before=signal:HUP TERM         | HUP TERM  | by SIGTERM, code 0, other code heard 1
        | | ctrl-c TERM before=signal:TERM        | TERM      | by SIGTERM, code 0, other code heard 1
        | blocked=TERM | ctrl-c TERM              | TERM      | by SIGTERM, code 0
        unshare -Upf --map-root-user | | ctrl-c   | TERM HUP INT | by interrupt, code 0
        unshare -Upf --map-root-user | | ctrl-c TERM | TERM   | by SIGTERM, code 0
        | | dropped ctrl-c                        | TERM      | killed by SIGTERM
        | | dropped ctrl-c                        | INT       | killed by SIGINT
        | | dropped ctrl-c TERM                   | TERM      | killed by SIGTERM
        | ignored=HUP | dropped ctrl-c            | HUP USR1  | by SIGUSR1, code 0
        ",
    );
}

/// A handler of `ctrlc` that other code sets takes SIGTERM and SIGHUP, too.
#[test]
fn a_handler_of_ctrlc_from_after_the_build_is_told_or_put_behind_the_library_s() {
    hold(
        "another handler of ctrlc, with termination",
        "
        | | before=ctrlc:INT                      | INT      | by SIGINT, code 0, other code heard 1
        | | before=ctrlc:INT                      | TERM     | by SIGTERM, code 0, other code heard 1
        | | before=ctrlc:INT HUP                  | HUP      | by SIGHUP, code 0, other code heard 1
        | | HUP after=ctrlc:INT USR1              | TERM USR1 | by SIGUSR1, code 10, taken: SIGHUP, taken: SIGTERM, taken: SIGINT, failed: Signal, failed: Signal, failed: Signal, other code heard 1
        | | take-back after=ctrlc:INT             | INT      | by SIGINT, code 0, other code heard 1
        | | take-back after=ctrlc:INT             | TERM     | by SIGTERM, code 0, other code heard 1
        | | take-back after=ctrlc:INT HUP         | HUP      | by SIGHUP, code 0, other code heard 1
        ",
    );
}
