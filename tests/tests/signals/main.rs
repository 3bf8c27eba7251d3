//! Signals as a program inherits them, and beside other code that handles them: real launchers, real processes. Not here: how a wind-down
//! goes on (`process`), and beside tokio and `ctrlc` with its feature `termination` (`tests/third-party`).
//!
//! [`table::hold`] says what the columns are.

mod table;

fn hold(name: &str, table: &'static str) {
    table::hold(env!("CARGO_BIN_EXE_victim"), name, table);
}

/// SIGHUP, SIGINT and SIGQUIT are left alone if they are ignored when the shutdown is built. Other signals are heard.
#[test]
fn a_signal_that_is_ignored_at_the_start_stays_ignored_unless_it_stops_a_service() {
    hold(
        "ignored",
        r#"
                                |                          |                            | TERM      | by SIGTERM, code 0
                                |                          |                            | INT       | by SIGINT, code 0
                                |                          |                            | HUP       | killed by SIGHUP
                                |                          | HUP                        | HUP       | by SIGHUP, code 0
        nohup                   |                          |                            | HUP TERM  | by SIGTERM, code 0
        nohup                   |                          | HUP                        | HUP TERM  | by SIGTERM, code 0
        nohup                   |                          | HUP hear-ignored           | HUP       | by SIGHUP, code 0
        setsid -w               |                          |                            | TERM      | by SIGTERM, code 0
        setsid -w nohup         |                          | HUP                        | HUP INT   | by SIGINT, code 0
        sh:"$@" & wait $!       |                          |                            | INT TERM  | by SIGTERM, code 0
        sh:"$@" & wait $!       |                          | QUIT                       | QUIT TERM | by SIGTERM, code 0
        sh:"$@" & wait $!       |                          | hear-ignored               | INT       | by SIGINT, code 0
        sh:"$@" & wait $!       |                          | ctrl-c TERM                | INT TERM  | by SIGTERM, code 0
        sh:"$@" & wait $!       |                          | ctrl-c TERM hear-ignored   | INT       | by interrupt, code 0
        sh:"$@" & wait $!       |                          | HUP                        | HUP       | by SIGHUP, code 0
        sh:nohup "$@" & wait $! |                          | HUP QUIT                   | HUP TERM  | by SIGTERM, code 0
        sh:trap '' TERM; "$@"   |                          |                            | TERM      | by SIGTERM, code 0
        env --ignore-signal     |                          | HUP USR1                   | HUP TERM  | by SIGTERM, code 0
        env --ignore-signal     |                          | QUIT                       | INT USR1 QUIT TERM | by SIGTERM, code 0
        env --ignore-signal     |                          | USR1                       | USR1      | by SIGUSR1, code 0
                                | ignored=HUP              | HUP                        | HUP TERM  | by SIGTERM, code 0
                                | ignored=INT              |                            | INT TERM  | by SIGTERM, code 0
                                | ignored=QUIT             | QUIT                       | QUIT TERM | by SIGTERM, code 0
                                | ignored=QUIT             | QUIT hear-ignored          | QUIT      | by SIGQUIT, code 0
                                | ignored=TERM             |                            | TERM      | by SIGTERM, code 0
                                | ignored=USR1             | USR1                       | USR1      | by SIGUSR1, code 0
                                | ignored=USR1             |                            | USR1 TERM | by SIGTERM, code 0
                                |                          | dropped                    | TERM      | killed by SIGTERM
                                | ignored=TERM             | dropped                    | TERM USR1 | by SIGUSR1, code 0
                                | ignored=HUP              | dropped HUP                | HUP USR1  | by SIGUSR1, code 0
                                | ignored=HUP              | dropped HUP hear-ignored   | HUP USR1  | by SIGUSR1, code 0
                                | ignored=INT              | dropped ctrl-c             | INT USR1  | by SIGUSR1, code 0
                                | ignored=INT              | dropped ctrl-c hear-ignored | INT USR1 | by SIGUSR1, code 0
        "#,
    );
}

/// The library's own thread unblocks what the program wants to hear. A signal that came before the program began is heard by the build.
#[test]
fn a_signal_that_is_blocked_or_pending_at_the_start_is_heard() {
    hold(
        "blocked and pending",
        "
                                 | blocked=TERM                                  |        | TERM     | by SIGTERM, code 0
        env --block-signal=TERM  |                                               |        | TERM     | by SIGTERM, code 0
        env --block-signal       |                                               |        | TERM     | by SIGTERM, code 0
        env --block-signal       |                                               |        | HUP INT  | by SIGINT, code 0
                                 | blocked=INT                                   |        | INT      | by SIGINT, code 0
                                 | blocked=INT                                   | ctrl-c | INT      | by interrupt, code 0
                                 | blocked=HUP                                   |        | HUP TERM | by SIGTERM, code 0
                                 | blocked=HUP                                   | HUP    | HUP      | by SIGHUP, code 0
                                 | blocked=QUIT                                  | QUIT   | QUIT     | by SIGQUIT, code 0
                                 | blocked=TERM                                  | forked | TERM     | by SIGTERM, code 0
                                 |                                               | forked | TERM     | by SIGTERM, code 0
                                 | blocked=TERM sent=TERM                        |        |          | by SIGTERM, code 0
                                 | blocked=TERM raised=TERM                      |        |          | by SIGTERM, code 0
                                 | blocked=INT sent=INT                          |        |          | by SIGINT, code 0
                                 | blocked=INT raised=INT                        |        |          | by SIGINT, code 0
                                 | blocked=TERM sent=TERM raised=TERM            |        |          | by SIGTERM, code 0, repeated
                                 | blocked=INT sent=INT                          | ctrl-c |          | by interrupt, code 0
                                 | blocked=INT raised=INT                        | ctrl-c |          | by interrupt, code 0
                                 | ignored=INT blocked=INT sent=INT              | hear-ignored | | by SIGINT, code 0
                                 | ignored=INT blocked=INT sent=INT              | hear-ignored ctrl-c | | by interrupt, code 0
                                 | blocked=HUP sent=HUP                          | HUP    |          | by SIGHUP, code 0
                                 | blocked=HUP raised=HUP                        | HUP    |          | by SIGHUP, code 0
                                 | blocked=HUP sent=HUP                          |        | TERM     | by SIGTERM, code 0
                                 | blocked=QUIT raised=QUIT                      | QUIT   |          | by SIGQUIT, code 0
                                 | ignored=TERM blocked=TERM                     |        | TERM     | by SIGTERM, code 0
                                 | ignored=TERM blocked=TERM sent=TERM           |        |          | by SIGTERM, code 0
                                 | ignored=TERM blocked=TERM raised=TERM         |        |          | by SIGTERM, code 0
                                 | ignored=HUP blocked=HUP sent=HUP raised=HUP   | HUP    | TERM     | by SIGTERM, code 0
                                 | ignored=HUP,INT,QUIT,TERM blocked=HUP,INT,QUIT,TERM | HUP QUIT | HUP INT QUIT TERM | by SIGTERM, code 0
                                 | ignored=HUP,INT,QUIT blocked=HUP,INT,QUIT,TERM sent=HUP,INT,QUIT,TERM | HUP QUIT | | by SIGTERM, code 0
        ",
    );
}

/// For process 1 the kernel drops signals that have no handler (K7).
#[test]
fn the_first_process_of_a_namespace_hears_what_others_hear() {
    hold(
        "process 1",
        "
        unshare -Upf --map-root-user       |                                       |              | TERM      | by SIGTERM, code 0
        unshare -Upf --map-root-user       |                                       |              | HUP INT   | by SIGINT, code 0
        unshare -Upf --map-root-user       |                                       | HUP          | HUP       | by SIGHUP, code 0
        unshare -Upf --map-root-user       |                                       | ctrl-c       | INT       | by interrupt, code 0
        unshare -Upf --map-root-user       |                                       | dropped      | TERM      | killed by SIGTERM
        unshare -Upf --map-root-user nohup |                                       | HUP          | HUP TERM  | by SIGTERM, code 0
        unshare -Upf --map-root-user       | ignored=TERM                          |              | TERM      | by SIGTERM, code 0
        unshare -Upf --map-root-user       | ignored=INT                           |              | INT TERM  | by SIGTERM, code 0
        unshare -Upf --map-root-user       | ignored=INT                           | hear-ignored | INT       | by SIGINT, code 0
        unshare -Upf --map-root-user       | blocked=TERM                          |              | TERM      | by SIGTERM, code 0
        unshare -Upf --map-root-user       | blocked=TERM sent=TERM                |              |           | by SIGTERM, code 0
        unshare -Upf --map-root-user       | blocked=TERM raised=TERM              |              |           | by SIGTERM, code 0
        unshare -Upf --map-root-user       | ignored=TERM blocked=TERM raised=TERM |              |           | by SIGTERM, code 0
        unshare -Upf --map-root-user       | ignored=TERM                          | dropped      | TERM USR1 | by SIGUSR1, code 0
        unshare -Upf --map-root-user       | blocked=TERM                          | forked       | TERM      | by SIGTERM, code 0
        unshare -Upf --map-root-user       | ignored=HUP,INT,QUIT,TERM blocked=HUP,INT,QUIT,TERM | HUP QUIT | HUP INT QUIT TERM | by SIGTERM, code 0
        ",
    );
}

/// A handler that other code installed before the build runs, too.
#[test]
fn a_handler_from_before_the_build_and_the_library_s_both_run() {
    hold(
        "another handler, before",
        "
        | | before=signal:TERM           | TERM | by SIGTERM, code 0, other code heard 1
        | | before=sigaction:TERM        | TERM | by SIGTERM, code 0, other code heard 1
        | | before=signal-hook:TERM      | TERM | by SIGTERM, code 0, other code heard 1
        | | before=ctrlc:INT             | INT  | by SIGINT, code 0, other code heard 1
        | ignored=HUP | before=signal:HUP HUP | HUP | by SIGHUP, code 0, other code heard 1
        | ignored=HUP | before=signal-hook:HUP HUP | HUP | by SIGHUP, code 0, other code heard 1
        | ignored=INT | before=ctrlc:INT | INT  | by SIGINT, code 0, other code heard 1
        | blocked=TERM sent=TERM | before=signal:TERM | | by SIGTERM, code 0, other code heard 1
        | | dropped before=signal:TERM      | TERM USR1 | by SIGUSR1, code 0, other code heard 1
        | | dropped before=sigaction:TERM   | USR1 | by SIGUSR1, code 0, other code heard 0
        | | dropped before=signal-hook:TERM | TERM USR1 | by SIGUSR1, code 0, other code heard 1
        | | dropped before=ctrlc:INT        | INT USR1 | by SIGUSR1, code 0, other code heard 1
        ",
    );
}

/// A handler that other code installs after the build is told, and is a failure unless the signal is heard all the same. On request it
/// is put behind the library's own. Signals that are ignored or have their default action are left so.
#[test]
fn a_handler_from_after_the_build_is_told_or_put_behind_the_library_s() {
    hold(
        "another handler, after",
        "
        | | after=signal-hook:TERM            | TERM     | by SIGTERM, code 0, other code heard 1
        | | after=signal:TERM                 | TERM INT | by SIGINT, code 10, taken: SIGTERM, failed: Signal, other code heard 1
        | | after=signal:TERM                 | INT      | by SIGINT, code 10, taken: SIGTERM, failed: Signal, other code heard 0
        | | after=sigaction:TERM              | TERM     | by SIGTERM, code 0, taken: SIGTERM, other code heard 1
        | | after=sigaction:TERM              | INT      | by SIGINT, code 10, taken: SIGTERM, failed: Signal, other code heard 0
        | | after=ctrlc:INT                   | INT TERM | by SIGTERM, code 10, taken: SIGINT, failed: Signal, other code heard 1
        | | running=sigaction:TERM            | TERM     | by SIGTERM, code 0, taken: SIGTERM, other code heard 1
        | | running=signal:TERM               | TERM INT | by SIGINT, code 10, taken: SIGTERM, failed: Signal, other code heard 1
        | | draining=signal:TERM              | INT      | by SIGINT, code 10, taken: SIGTERM, failed: Signal, other code heard 0
        | | draining=sigaction:TERM           | INT      | by SIGINT, code 10, taken: SIGTERM, failed: Signal, other code heard 0
        | | take-back after=signal-hook:TERM  | TERM     | by SIGTERM, code 0, other code heard 1
        | | take-back after=signal:TERM       | TERM     | by SIGTERM, code 0, other code heard 1
        | | take-back after=sigaction:TERM    | TERM     | by SIGTERM, code 0, other code heard 1
        | | take-back after=signal:INT        | INT      | by SIGINT, code 0, other code heard 1
        | | take-back after=sigaction:INT     | INT      | by SIGINT, code 0, other code heard 1
        | | take-back after=ctrlc:INT         | INT      | by SIGINT, code 0, other code heard 1
        | | take-back draining=signal:TERM    | INT      | by SIGINT, code 0, other code heard 0
        | | take-back draining=sigaction:TERM | INT      | by SIGINT, code 0, other code heard 0
        | blocked=TERM | take-back after=signal:TERM | TERM | by SIGTERM, code 0, other code heard 1
        | | before=signal-hook:TERM after=sigaction:TERM | TERM | by SIGTERM, code 0, taken: SIGTERM, other code heard 1, other code heard 1
        | | before=signal-hook:TERM take-back after=sigaction:TERM | TERM | by SIGTERM, code 0, other code heard 1, other code heard 1
        | | before=signal-hook:TERM take-back again after=sigaction:TERM | TERM | by SIGTERM, code 0, other code heard 1, other code heard 1
        | | before=signal-hook:TERM take-back after=signal:TERM | TERM | by SIGTERM, code 0, other code heard 0, other code heard 1
        | | dropped after=signal:TERM         | TERM USR1 | by SIGUSR1, code 0, other code heard 1
        | | forked after=signal:TERM          | TERM INT | by SIGINT, code 10, failed: Signal, other code heard 1
        | | forked take-back after=signal:TERM | TERM    | by SIGTERM, code 0, other code heard 1
        | | forked take-back after=sigaction:TERM | TERM | by SIGTERM, code 0, other code heard 1
        | | ctrl-c take-back after=signal:INT | INT      | by SIGINT, code 0, other code heard 1
        | | ctrl-c take-back after=sigaction:INT | INT   | by SIGINT, code 0, other code heard 1
        | | ctrl-c TERM after=signal:INT      | INT TERM | by SIGTERM, code 10, taken: SIGINT, failed: Signal, other code heard 1
        | | after=ignore:INT                  | INT TERM | by SIGTERM, code 0
        | | after=default:INT                 | INT      | killed by SIGINT
        | | after=system:INT                  | INT TERM | by SIGTERM, code 0
        | | draining=system:INT               | TERM     | by SIGTERM, code 0
        | | take-back after=ignore:INT        | INT TERM | by SIGTERM, code 0
        | | take-back after=ignore:TERM       | TERM INT | by SIGINT, code 0
        | | take-back after=default:INT       | INT      | killed by SIGINT
        | | take-back after=system:INT        | INT TERM | by SIGTERM, code 0
        | | take-back draining=system:INT     | TERM     | by SIGTERM, code 0
        | | take-back draining=ignore:INT     | TERM     | by SIGTERM, code 0
        ",
    );
}

/// Handlers run on the alternate stack of their thread, as Go's runtime wants. Every row of the other tables looks at the flag as well.
#[test]
fn a_signal_on_a_thread_whose_stack_is_full_is_heard_on_its_alternate_stack() {
    hold(
        "full stack",
        "
        | | full-stack                               | | by SIGTERM, code 0
        | | full-stack ctrl-c TERM                   | | by SIGTERM, code 0
        | | full-stack before=signal-hook:TERM       | | by SIGTERM, code 0, other code heard 1
        | | full-stack after=signal-hook:TERM        | | by SIGTERM, code 0, other code heard 1
        ",
    );
}
