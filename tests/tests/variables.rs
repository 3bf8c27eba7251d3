//! Variables of the environment whose names are nearly those of a budget. Not here: their values (`budget`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use winddown::Budget;
use winddown_tests::child::Child;

#[test]
fn a_variable_with_one_letter_wrong_is_told_with_the_right_name() {
    for variable in Budget::VARIABLES {
        assert_eq!(Budget::misspelt(variable), None);
        for at in 0..variable.len() {
            let (before, after) = variable.split_at(at);
            let removed = format!("{before}{}", &after[1..]);
            let replaced = format!("{before}#{}", &after[1..]);
            let added = format!("{before}#{after}");
            for name in [removed, replaced, added] {
                assert_eq!(Budget::misspelt(&name), Some(variable), "{name}");
            }
            let mut swapped = variable.as_bytes().to_vec();
            if at > 0 && swapped[at - 1] != swapped[at] {
                swapped.swap(at - 1, at);
                let name = String::from_utf8(swapped).unwrap();
                assert_eq!(Budget::misspelt(&name), Some(variable), "{name}");
            }
        }
        assert_eq!(Budget::misspelt(&variable.to_lowercase()), Some(variable));
    }
}

#[test]
fn a_variable_of_another_unit_or_without_one_is_told() {
    for (name, variable) in [
        ("WINDDOWN_GRACE", "WINDDOWN_GRACE_SECONDS"),
        ("WINDDOWN_GRACE_PERIOD_SECONDS", "WINDDOWN_GRACE_SECONDS"),
        ("WINDDOWN_DRAIN_TIMEOUT", "WINDDOWN_DRAIN_SECONDS"),
        ("WINDDOWN_LAME_DUCK_MS", "WINDDOWN_LAME_DUCK_SECONDS"),
        ("WINDDOWN_grace_Period_Millis", "WINDDOWN_GRACE_SECONDS"),
        ("WINDDOWN_HIGH_TIMEOUT_MS", "WINDDOWN_HIGH_SECONDS"),
        ("WINDDOWN_LINGER_DURATION", "WINDDOWN_LINGER_SECONDS"),
        ("WINDDOWN_FLUSH_TIME", "WINDDOWN_FLUSH_SECONDS"),
        ("WINDDOWN_HEAD_MINUTES", "WINDDOWN_HEAD_SECONDS"),
        ("WINDDOWN_PRESTOP_SECONDS", "WINDDOWN_PRE_STOP_SECONDS"),
        ("WINDDOWN_FORCE_CLOSE_S", "WINDDOWN_FORCE_CLOSE_SECONDS"),
        ("WINDOWN_HIGH_SECONDS", "WINDDOWN_HIGH_SECONDS"),
        ("WIND_DOWN_HEAD_SECONDS", "WINDDOWN_HEAD_SECONDS"),
    ] {
        assert_eq!(Budget::misspelt(name), Some(variable), "{name}");
    }
}

#[test]
fn a_variable_of_another_meaning_is_left_alone() {
    for name in [
        "",
        "_",
        "PATH",
        "WINDDOWN",
        "WINDDOWN_",
        "WINDDOWN_LOG",
        "WINDDOWN_HOST",
        "WINDDOWN_IDLE_SECONDS",
        "WINDDOWN_HEAD_BRANCH",
        "WINDDOWN_HIGH_AVAILABILITY",
        "WINDDOWN_DRAIN_LOG_LEVEL",
        "WINDDOWN_GRACE_TIME_ZONE",
        "WINDDOWN_GRACE_MS_TIMEOUT",
        "WINDDOWN_FLUSH_TIMEOUT_MS_LOG",
        "WINDDOWN_LINGER_",
        "WINDDOWN_VERSION",
        "WINDDÖWN_GRÄCE",
        "GRACE_SECONDS",
        "WINDDOWN_STRESS_SECONDS",
        "WINDDOWN_PREEMPTIONS",
        "WINDDOWN_OWN_PROCESS",
        "WINDDOWN_RACE_SEED",
    ] {
        assert_eq!(Budget::misspelt(name), None, "{name}");
    }
}

/// The variables that Kubernetes sets in a pod for a service of this name, with a port named "http".
fn of_service(name: &str) -> Vec<String> {
    let parts = [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_80_TCP",
        "PORT_80_TCP_PROTO",
        "PORT_80_TCP_PORT",
        "PORT_80_TCP_ADDR",
    ];
    let name = name.to_uppercase().replace('-', "_");
    parts.map(|part| format!("{name}_{part}")).to_vec()
}

#[test]
fn a_variable_of_a_kubernetes_service_is_left_alone() {
    for service in
        ["winddown", "winddown-x", "winddown-grace", "winddown-head", "winddown-force-close", "winddown-grace-seconds"]
    {
        for name in of_service(service) {
            assert_eq!(Budget::misspelt(&name), None, "{name}");
        }
    }
}

#[test]
fn a_misspelt_variable_ends_the_program_s_start_with_its_name_and_value() {
    let run =
        |variables: &[(&str, &str)]| Child::start_with(env!("CARGO_BIN_EXE_victim"), &["environment"], variables).end();
    run(&[("WINDDOWN_GRCAE_SECONDS", "60"), ("WINDDOWN_LINGER_SECONDS", "1")]).assert_said(
        "WINDDOWN_GRCAE_SECONDS=\"60\" is set, but there is no such variable: set WINDDOWN_GRACE_SECONDS instead, or unset it",
    );
    let services = [of_service("winddown"), of_service("winddown-grace")].concat();
    let services: Vec<_> = services.iter().map(|name| (name.as_str(), "tcp://10.0.0.1:80")).collect();
    run(&services).assert_said("grace: 30s");
}

#[test]
fn a_misspelt_variable_that_is_not_utf_8_is_told_with_its_name() {
    let run = |name: &[u8]| {
        let run = Command::new(env!("CARGO_BIN_EXE_victim"))
            .arg("environment")
            .env(OsStr::from_bytes(name), "60")
            .output()
            .unwrap();
        String::from_utf8(run.stdout).unwrap()
    };
    let told = run(b"WINDDOWN_GR\xffCE_SECONDS");
    assert!(told.starts_with("WINDDOWN_GR\u{fffd}CE_SECONDS=\"60\" is set"), "{told}");
    let told = run(b"WINDDOWN_\xff");
    assert!(told.contains("grace: 30s"), "{told}");
}
