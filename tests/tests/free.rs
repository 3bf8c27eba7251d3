//! P10: what a program that was not asked to stop pays. (Alone in its process: it counts allocations.)

use winddown::{Budget, Shutdown};
use winddown_tests::sys::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn p10_passes_and_checks_allocate_nothing() {
    let shutdown = Shutdown::builder().budget(Budget::default()).build().unwrap();
    let token = shutdown.token();
    let before = Counting::calls();
    for _ in 0..1_000 {
        let pass = shutdown.enter();
        let owned = shutdown.enter_owned();
        assert!(pass.is_ok() && owned.is_ok() && !shutdown.is_shutting_down() && !token.should_stop());
    }
    assert_eq!(Counting::calls() - before, 0);
}
