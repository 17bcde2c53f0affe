#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mlops_fuzz::drift_segments(bytes));
