//! Listeners in an `SO_REUSEPORT` group (A9), as real processes in network namespaces of their own. Not here: how a group decides
//! what a door does (core's `door`).

use std::thread;

use winddown_tests::child::Child;

/// One run of the victim's `group`: its figures, by name.
fn drains(members: &str, migrates: &str) -> impl Fn(&str) -> usize + use<> {
    let arguments = ["-Urn", env!("CARGO_BIN_EXE_victim"), "group", members, migrates, "12"];
    let end = Child::start("unshare", &arguments).end();
    end.assert_code(0);
    let line = end.output.lines().find(|line| line.contains("Exchanges")).unwrap_or_default().to_owned();
    println!("{members}, tcp_migrate_req={migrates}: {line}");
    move |name| {
        let (_, rest) = line.split_once(&format!("{name}: ")).unwrap_or_else(|| panic!("no {name} in {line}"));
        rest.split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|count| count.parse().ok())
            .unwrap_or_else(|| panic!("{line}"))
    }
}

/// Whatever the kernel's setting. (A member of another program, and a setting of 0: a client may be reset, see
/// [`Group::Foreign`](winddown_core::Group::Foreign).)
#[test]
fn a9_a_drain_delays_no_foreign_members_clients_and_resets_none_where_that_can_be() {
    let members = ["own", "sole", "foreign", "stuck"];
    let cases = members.into_iter().flat_map(|members| [(members, "0"), (members, "1")]);
    thread::scope(|scope| {
        for (members, migrates) in cases {
            scope.spawn(move || {
                let figure = drains(members, migrates);
                let case = format!("{members}, tcp_migrate_req={migrates}");
                assert!(figure("answered") > 100, "{case}: too few exchanges to mean anything");
                if (members, migrates) != ("foreign", "0") {
                    assert_eq!(figure("reset"), 0, "{case}");
                }
                if (members, migrates) == ("stuck", "0") {
                    // Its door is shut when the linger is over, so the clients in its queue are served.
                } else if ["foreign", "stuck"].contains(&members) {
                    assert_eq!((figure("slow"), figure("refused")), (0, 0), "{case}");
                } else {
                    // The door was shut: that is what `slow` shows.
                    assert!(figure("slow") > 0, "{case}");
                }
            });
        }
    });
}
