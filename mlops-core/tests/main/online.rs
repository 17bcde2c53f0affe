//! The store of features in memory passes the suite, and each saboteur fails its own check.

use async_trait::async_trait;
use mlops_core::{
    ErrorKind, OnlineStore, Result, Timestamp,
    conformance::online::{self as suite, Subject},
    features::{
        FeatureView, MemoryOnlineConfig, MemoryOnlineStore, OnlineRead, OnlineRows, OnlineWrite,
    },
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

fn store() -> MemoryOnlineStore {
    MemoryOnlineStore::new([suite::view()], MemoryOnlineConfig::default()).unwrap()
}

mlops_core::online_store_conformance!(memory, Subject::new(store()));

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

#[test]
fn a_view_that_makes_no_sense_is_refused() {
    let (key, x) = (TensorSpec::column("k", DType::I64), TensorSpec::column("x", DType::F32));
    let why = |keys: Vec<TensorSpec>, features: Vec<TensorSpec>| {
        FeatureView::new("v", keys, features).unwrap_err().to_string()
    };
    assert!(why(vec![], vec![x.clone()]).contains("needs a key"));
    assert!(why(vec![key.clone()], vec![]).contains("and a feature"));
    assert!(why(vec![key.clone()], vec![key.clone()]).contains("\"k\" is declared twice"));
    assert!(why(vec![x.clone()], vec![key.clone()]).contains("key x: float32"));
    let open = TensorSpec::new("h", DType::F32, [None, None]);
    assert!(why(vec![key], vec![open]).contains("feature h: float32[-1, -1]"));
}

fn rows(customers: std::ops::Range<i64>) -> OnlineWrite {
    let customers: Vec<i64> = customers.collect();
    let count = customers.len();
    let keys = Tensors::one("k", Tensor::from_vec([count], customers).unwrap());
    let features = Tensors::one("x", Tensor::from_vec([count], vec![1_f32; count]).unwrap());
    OnlineWrite::new("v", keys, features, vec![Timestamp::from_unix_millis(1); count])
}

#[test]
fn what_is_held_is_bounded_and_a_write_over_it_changes_nothing() {
    let (key, x) = (TensorSpec::column("k", DType::I64), TensorSpec::column("x", DType::F32));
    let view = || FeatureView::new("v", vec![key.clone()], vec![x.clone()]).unwrap();
    let twice = MemoryOnlineStore::new([view(), view()], MemoryOnlineConfig::default());
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::AlreadyExists);
    for config in [
        MemoryOnlineConfig::default().with_max_rows(10),
        MemoryOnlineConfig::default().with_max_bytes(10 * (8 + 4)),
    ] {
        let store = MemoryOnlineStore::new([view()], config).unwrap();
        block_on(store.write(rows(0..10))).unwrap();
        block_on(store.write(rows(0..10))).unwrap();
        let error = block_on(store.write(rows(5..11))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(format!("{store:?}"), "{\"v\": 10}");
        block_on(store.write(rows(2..8))).unwrap();
    }
}

/// One broken promise each.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Breaks {
    MakesUpAView,
    ReversesRows,
    GivesEveryFeature,
    GivesZeros,
    ForgivesFeatures,
    IgnoresDeadline,
    RefusesNoKeys,
    IsLate,
    TakesTheLast,
    FillsNulls,
    WritesHalf,
}

#[derive(Debug)]
struct Saboteur {
    inner: MemoryOnlineStore,
    breaks: Breaks,
    late: Mutex<Option<OnlineWrite>>,
    written: Mutex<i64>,
}

fn without_nulls(tensors: Tensors) -> Tensors {
    tensors.into_iter().fold(Tensors::new(), |some, (name, tensor)| {
        some.with(name, tensor.with_nulls(None).unwrap()).unwrap()
    })
}

#[async_trait]
impl OnlineStore for Saboteur {
    async fn view(&self, name: &str) -> Result<Arc<FeatureView>> {
        let name = if self.breaks == Breaks::MakesUpAView { "conformance" } else { name };
        self.inner.view(name).await
    }

    async fn read(&self, mut question: OnlineRead) -> Result<OnlineRows> {
        let count = question.keys.rows()?;
        match self.breaks {
            Breaks::ReversesRows => {
                let reversed: Vec<usize> = (0..count).rev().collect();
                question.keys = question.keys.take_rows(&reversed)?;
            }
            Breaks::GivesEveryFeature => {
                question.features = ["income", "state", "history"].map(Into::into).into();
            }
            Breaks::ForgivesFeatures => question.features.retain(|name| !name.contains("no such")),
            Breaks::IgnoresDeadline => question.deadline = None,
            Breaks::RefusesNoKeys if count == 0 => return Err(mlops_core::Error::invalid("none")),
            _ => {}
        }
        let mut rows = self.inner.read(question).await?;
        if self.breaks == Breaks::GivesZeros {
            rows.features = without_nulls(rows.features);
        }
        Ok(rows)
    }

    async fn write(&self, mut rows: OnlineWrite) -> Result<()> {
        match self.breaks {
            Breaks::IsLate => {
                let before = self.late.lock().unwrap().replace(rows);
                return match before {
                    Some(before) => self.inner.write(before).await,
                    None => Ok(()),
                };
            }
            Breaks::TakesTheLast => {
                for time in &mut rows.times {
                    let mut written = self.written.lock().unwrap();
                    *written += 1;
                    *time = Timestamp::from_unix_millis(*written);
                }
            }
            Breaks::FillsNulls => rows.features = without_nulls(rows.features),
            _ => {}
        }
        let keys = rows.keys.clone();
        let refused = self.inner.write(rows).await;
        if refused.is_err() && self.breaks == Breaks::WritesHalf {
            let column = Tensor::from_vec([1], vec![1_f64])?;
            let features = Tensors::one("income", column)
                .with("state", Tensor::from_strs([1], &["x"])?)?
                .with("history", Tensor::from_vec([1, 2], vec![0_f32; 2])?)?;
            let (keys, times) = (keys.slice_rows(0..1)?, vec![Timestamp::from_unix_millis(1)]);
            self.inner.write(OnlineWrite::new("conformance", keys, features, times)).await?;
        }
        refused
    }
}

/// Whether a check panics on a store that breaks this promise.
fn fails<F: Future<Output = ()>>(check: impl Fn(Subject) -> F, breaks: Breaks) -> bool {
    let (late, written) = (Mutex::default(), Mutex::default());
    let subject = Subject::new(Saboteur { inner: store(), breaks, late, written });
    catch_unwind(AssertUnwindSafe(|| block_on(check(subject)))).is_err()
}

#[test]
fn each_saboteur_fails_its_own_check() {
    use Breaks as B;
    assert!(fails(suite::a_view_is_described, B::MakesUpAView));
    assert!(fails(suite::rows_stand_in_the_order_asked, B::ReversesRows));
    assert!(fails(suite::features_are_those_asked, B::GivesEveryFeature));
    assert!(fails(suite::the_unknown_is_null, B::GivesZeros));
    assert!(fails(suite::bad_questions_are_named, B::ForgivesFeatures));
    assert!(fails(suite::a_passed_deadline_is_timed_out, B::IgnoresDeadline));
    assert!(fails(suite::no_keys_give_no_rows, B::RefusesNoKeys));
    assert!(fails(suite::a_write_is_seen, B::IsLate));
    assert!(fails(suite::the_later_row_counts, B::TakesTheLast));
    assert!(fails(suite::nulls_are_kept, B::FillsNulls));
    assert!(fails(suite::a_bad_write_changes_nothing, B::WritesHalf));
    assert_eq!(suite::CHECKS.len(), 11, "add a saboteur for the new check");
}

#[test]
fn a_saboteur_of_one_promise_keeps_the_others() {
    assert!(!fails(suite::a_write_is_seen, Breaks::FillsNulls));
    assert!(!fails(suite::the_later_row_counts, Breaks::ReversesRows));
    assert!(!fails(suite::no_keys_give_no_rows, Breaks::IsLate));
}
