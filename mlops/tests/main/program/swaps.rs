//! Alias swaps under load: whoever asks meanwhile is answered.

use super::{
    Place, Serving, WIDTH,
    record::{champion, promote, promote_from, serve_arguments},
    rows,
};
use serde_json::{Value, json};
use std::{
    slice,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

const CONNECTIONS: usize = 32;

/// How often the alias moves: `MLOPS_SWAPS`, or as often as a test that runs each time may take.
fn swaps() -> u64 {
    std::env::var("MLOPS_SWAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

#[test]
fn no_request_fails_while_the_alias_moves() {
    let place = Place::new();
    promote(&place, "lightgbm");
    promote(&place, "mlp");
    let server = place.serve(&serve_arguments());
    let body = json!({ "inputs": [{ "name": "features", "shape": [1, WIDTH], "datatype": "FP32",
        "data": rows("lightgbm", 1)[0].1 }]});
    let (url, body) = (format!("{}/v2/models/risk/infer", server.url), body.to_string());
    let (stop, answered, version) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let config = ureq::Agent::config_builder().http_status_as_error(false).build();
                let client = config.new_agent();
                while !stop.load(Ordering::Relaxed) {
                    let mut answer = client.post(&url).send(&body).unwrap();
                    let text = answer.body_mut().read_to_string().unwrap();
                    assert_eq!(answer.status(), 200, "{text}");
                    let answer: Value = serde_json::from_str(&text).unwrap();
                    let number = answer["model_version"].as_str().unwrap().parse().unwrap();
                    version.store(number, Ordering::Relaxed);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // A thread that failed must not leave the others running.
        let stopping = Stop(&stop);
        for swap in 0..swaps() {
            let wanted = swap % 2 + 1;
            champion(&place, wanted);
            let late = Instant::now() + Duration::from_secs(30);
            while version.load(Ordering::Relaxed) != wanted {
                assert!(Instant::now() < late, "swap {swap} was not followed");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        drop(stopping);
    });
    let (swapped, count) = (swaps(), answered.load(Ordering::Relaxed));
    println!("{count} requests answered during {swapped} swaps in {:?}", began.elapsed());
    let metrics = server.get("/metrics").1;
    assert!(metrics.contains("mlops_http_failed_total 0\n"), "{metrics}");
    assert!(metrics.contains("mlops_endpoint_panics_total{endpoint=\"risk\"} 0\n"), "{metrics}");
    assert_eq!(server.end().code(), Some(0));
}

/// Memory for one of them, and not for two.
#[test]
fn a_model_without_room_beside_the_old_one_stays_out_or_comes_after_it() {
    let place = Place::new();
    for folder in ["one", "two"] {
        promote_from(&place, "lightgbm", folder);
    }
    let files = std::fs::read_dir(place.path("one")).unwrap();
    let files: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let memory = (files + files / 2).to_string();
    let arguments = [&serve_arguments()[..], &["--memory-bytes", &memory]].concat();
    let row = vec![0.0; WIDTH];
    let version =
        |server: &Serving| server.infer("risk", slice::from_ref(&row)).0["model_version"].clone();

    champion(&place, 1);
    let server = place.serve(&arguments);
    champion(&place, 2);
    let stale = || server.get("/metrics").1.contains("mlops_endpoint_stale{endpoint=\"risk\"} 1\n");
    until("it took the second model", stale);
    assert_eq!(version(&server), "1");
    assert_eq!(server.end().code(), Some(0));

    champion(&place, 1);
    let server = place.serve(&[&arguments[..], &["--swap", "drain-first"]].concat());
    assert_eq!(version(&server), "1");
    champion(&place, 2);
    until("the second model does not come", || version(&server) == "2");
    assert_eq!(server.end().code(), Some(0));
    place.run(&["serve", "--model", "one", "--queue", "0"]).failed(2, "--queue");
}

fn until(else_: &str, mut holds: impl FnMut() -> bool) {
    let late = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < late, "{else_}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
