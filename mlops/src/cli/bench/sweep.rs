//! The configurations that are tried, each built as `mlops serve` builds it.

use super::super::{Console, engines::Engines, source};
use crate::{Error, ErrorKind, Predictor, Result, model::ModelPackage};
use mlops_serve::{Batcher, BatchingConfig, Engine, LocalConfig, LocalPredictor, Session};
use std::{num::NonZeroUsize, sync::Arc};

/// Rows that may run together; without, each request runs by itself.
const BATCHES: [usize; 3] = [8, 32, 128];

/// One way to serve the model.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) predictor: Arc<dyn Predictor>,
    engines: Engines,
    threads: usize,
    max_batch_rows: Option<usize>,
}

impl Candidate {
    /// What `mlops serve` takes to serve so.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = self.engines.flags();
        flags.extend(["--threads".to_owned(), self.threads.to_string()]);
        if let Some(rows) = self.max_batch_rows {
            flags.extend(["--max-batch-rows".to_owned(), rows.to_string()]);
        }
        flags
    }
}

/// Every engine that loads the package, with every number of threads, with and without batching. At
/// least one; else the reasons of the engines.
pub(super) fn candidates(
    package: &ModelPackage,
    engines: &Engines,
    callers: NonZeroUsize,
    console: &Console,
) -> Result<Vec<Candidate>> {
    let (mut all, mut refused) = (Vec::new(), None);
    for engine in engines.list()?.iter().filter(|engine| engine.recognises(package)) {
        for alike in settings(&**engine) {
            for engines in alike {
                let session = source::session(package, &engines);
                match session.and_then(|session| of_session(&session, &engines, callers)) {
                    Ok(found) => all.extend(found),
                    // What a provider lacks may come to light only when it computes.
                    Err(error) if is_no_answer(&error) || engines.is_elsewhere() => {
                        let flags = engines.flags();
                        console.note(format_args!("not tried: {}: {error}", flags.join(" ")));
                        refused = Some(error);
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    if all.is_empty() {
        // Says which flavours there are, if no engine knew any.
        let error = refused.map_or_else(|| source::session(package, engines).map(|_| ()), Err);
        error?;
        return Err(Error::unsupported("no engine loads the model"));
    }
    Ok(all)
}

/// Whether another engine may do better.
fn is_no_answer(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Unavailable)
}

/// Ways to load with one engine, those together of which one fails as the others do: of engines that
/// compute one call at a time, sessions against threads of each, of which there are no more together
/// than the machine runs at once; and each execution provider, and each device of candle.
fn settings(engine: &dyn Engine) -> Vec<Vec<Engines>> {
    let only = Engines::only(Some(engine.name().to_owned()));
    if engine.name() == "candle" {
        let elsewhere = only.on_each_device().into_iter().map(|one| vec![one]);
        return std::iter::once(vec![only]).chain(elsewhere).collect();
    }
    if engine.name() != "onnx" {
        return vec![vec![only]];
    }
    let counts = counts(machine());
    let pairs =
        counts.iter().flat_map(|sessions| counts.iter().map(move |each| (*sessions, *each)));
    let fitting = pairs.filter(|(sessions, each)| sessions * each <= machine());
    let here = fitting.map(|(sessions, each)| only.clone().with_onnx(sessions, each)).collect();
    let elsewhere = only.on_each_provider().into_iter().map(|one| vec![one]);
    std::iter::once(here).chain(elsewhere).collect()
}

fn of_session(
    session: &Arc<dyn Session>,
    engines: &Engines,
    callers: NonZeroUsize,
) -> Result<Vec<Candidate>> {
    // As many as the sessions, where there are sessions.
    let threads = session.info().width.map_or_else(|| counts(machine()), |width| vec![width]);
    let mut all = Vec::new();
    for threads in threads {
        let local = LocalConfig::default().with_threads(threads);
        let model = LocalPredictor::open("bench", "1", Arc::clone(session), &local)?;
        let model = Arc::new(model);
        let batched = BATCHES.into_iter().filter(|rows| *rows <= BATCHES[0].max(2 * callers.get()));
        for max_batch_rows in std::iter::once(None).chain(batched.map(Some)) {
            let predictor: Arc<dyn Predictor> = match max_batch_rows {
                None => Arc::<LocalPredictor>::clone(&model),
                Some(rows) => {
                    let config = BatchingConfig::default().with_max_batch_rows(rows);
                    Arc::new(Batcher::new(Arc::clone(&model), config))
                }
            };
            all.push(Candidate { predictor, engines: engines.clone(), threads, max_batch_rows });
        }
    }
    Ok(all)
}

fn machine() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// 1, 2, 4, … and the most.
fn counts(most: usize) -> Vec<usize> {
    let mut counts: Vec<usize> =
        std::iter::successors(Some(1), |count| Some(2 * count)).take_while(|c| *c < most).collect();
    counts.push(most);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_end_with_the_most() {
        assert_eq!(counts(1), [1]);
        assert_eq!(counts(6), [1, 2, 4, 6]);
        assert_eq!(counts(8), [1, 2, 4, 8]);
    }
}
