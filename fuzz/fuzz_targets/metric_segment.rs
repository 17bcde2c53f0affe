#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mlops_fuzz::metric_segment(bytes));
