//! Races of all kinds: see `winddown_tests::race`.

use winddown_tests::race;

#[test]
fn many() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut ran = 0;
    for _ in 0..std::env::var("N").map_or(200, |n| n.parse().unwrap()) {
        let bytes: Vec<u8> = (0..512)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 33) as u8
            })
            .collect();
        ran += usize::from(race::run(&bytes).is_ok());
    }
    println!("{ran}");
}
