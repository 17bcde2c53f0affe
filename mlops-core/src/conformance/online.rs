//! What every [`OnlineStore`] promises, a check a promise.

use super::check;
use crate::{
    ErrorKind, OnlineStore, Timestamp,
    features::{FeatureView, OnlineRead, OnlineRows, OnlineWrite},
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use std::{
    any::Any,
    fmt,
    time::{Duration, Instant},
};

/// A store to check.
pub struct Subject {
    store: Box<dyn OnlineStore>,
    kept: Vec<Box<dyn Any + Send>>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:?})", self.store)
    }
}

/// The view that a store to check has: two keys, a number, a text and a vector.
#[expect(clippy::missing_panics_doc, reason = "the view is valid")]
pub fn view() -> FeatureView {
    let keys =
        vec![TensorSpec::column("shop", DType::Utf8), TensorSpec::column("customer", DType::I64)];
    let features = vec![
        TensorSpec::column("income", DType::F64),
        TensorSpec::column("state", DType::Utf8),
        TensorSpec::new("history", DType::F32, [None, Some(2)]),
    ];
    FeatureView::new(VIEW, keys, features).expect("a valid view")
}

const VIEW: &str = "conformance";
const ALL: [&str; 3] = ["income", "state", "history"];

impl Subject {
    /// A store that has [`view`], and no rows in it.
    pub fn new(store: impl OnlineStore + 'static) -> Self {
        Self { store: Box::new(store), kept: Vec::new() }
    }

    /// Keeps something, such as a server, for as long as the subject is there.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept.push(Box::new(kept));
        self
    }

    async fn read(&self, customers: &[i64], features: &[&str]) -> OnlineRows {
        let question = OnlineRead::new(VIEW, keys(customers), features.to_vec());
        self.store.read(question).await.expect("a valid question is answered")
    }

    /// The bits of this customer's income; `None` if it is null.
    async fn income(&self, customer: i64) -> Option<u64> {
        let rows = self.read(&[customer], &["income"]).await;
        let income = rows.features.require("income").expect("it was asked for");
        let is_null = income.nulls().is_some_and(|nulls| nulls.is_null(0));
        (!is_null).then(|| income.as_slice::<f64>().expect("a number")[0].to_bits())
    }

    async fn write(&self, rows: &[(i64, f64, u64)]) {
        self.store.write(written(rows)).await.expect("valid rows are written");
    }

    async fn refusal(&self, question: OnlineRead) -> (ErrorKind, String) {
        let error = self.store.read(question).await.expect_err("a bad question was answered");
        (error.kind(), error.to_string())
    }
}

fn keys(customers: &[i64]) -> Tensors {
    let shop = Tensor::from_strs([customers.len()], &vec!["a"; customers.len()]);
    let customer = Tensor::from_vec([customers.len()], customers.to_vec());
    Tensors::one("shop", shop.expect("a column"))
        .with("customer", customer.expect("a column"))
        .expect("two names")
}

/// Customer, income and the second as of which that is.
fn written(rows: &[(i64, f64, u64)]) -> OnlineWrite {
    let customers: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let incomes: Vec<f64> = rows.iter().map(|row| row.1).collect();
    let states: Vec<String> =
        customers.iter().map(|customer| format!("state {customer}")).collect();
    let history: Vec<f32> = rows.iter().flat_map(|_| [f32::from_bits(0x7fc0_dead), -0.0]).collect();
    let count = rows.len();
    let features = Tensors::one("income", Tensor::from_vec([count], incomes).expect("a column"))
        .with("state", Tensor::from_strs([count], &states).expect("a column"))
        .and_then(|some| some.with("history", Tensor::from_vec([count, 2], history)?))
        .expect("three names");
    let times = rows.iter().map(|row| time(row.2)).collect();
    OnlineWrite::new(VIEW, keys(&customers), features, times)
}

fn time(second: u64) -> Timestamp {
    Timestamp::from_unix_millis(1_514_764_800_000).plus(Duration::from_secs(second))
}

check! {
    "a view that is not there is `NotFound` and is named";
    async fn a_view_is_described(subject: Subject) {
        assert_eq!(*subject.store.view(VIEW).await.expect("it is there"), view());
        let error = subject.store.view("no such view").await.expect_err("it is not there");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("no such view"), "{error}");
    }
}

check! {
    "gives a row for each key, in the order asked; a key that is asked for twice is there twice";
    async fn rows_stand_in_the_order_asked(subject: Subject) {
        subject.write(&[(1, 10.0, 1), (2, 20.0, 2)]).await;
        let rows = subject.read(&[2, 9, 1, 2], &["state"]).await;
        let states = rows.features.require("state").expect("it was asked for");
        assert_eq!(states.strs().expect("text"), ["state 2", "", "state 1", "state 2"]);
        assert_eq!(rows.times, [Some(time(2)), None, Some(time(1)), Some(time(2))]);
    }
}

check! {
    "gives the features asked for, in that order, each of its type and shape, to the bit";
    async fn features_are_those_asked(subject: Subject) {
        subject.write(&[(1, f64::from_bits(0x7ff8_dead_beef_0001), 1), (2, -0.0, 1)]).await;
        let rows = subject.read(&[1, 2], &["history", "income"]).await;
        let names: Vec<&str> = rows.features.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["history", "income"]);
        let history = rows.features.require("history").expect("it was asked for");
        assert_eq!((history.dtype(), history.shape()), (DType::F32, &[2, 2][..]));
        let bits: Vec<u32> = history.as_slice::<f32>().expect("numbers").iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits, [0x7fc0_dead, 0x8000_0000, 0x7fc0_dead, 0x8000_0000]);
        assert_eq!(subject.income(1).await, Some(0x7ff8_dead_beef_0001));
        assert_eq!(subject.income(2).await, Some((-0.0_f64).to_bits()));
    }
}

check! {
    "an entity that was never written is null in every feature, and has no time";
    async fn the_unknown_is_null(subject: Subject) {
        subject.write(&[(1, 10.0, 1)]).await;
        let rows = subject.read(&[7, 1], &ALL).await;
        assert_eq!(rows.times, [None, Some(time(1))]);
        for name in ALL {
            let tensor = rows.features.require(name).expect("it was asked for");
            let nulls = tensor.nulls().expect("some are null");
            let of = |row: usize| (row * tensor.row_len()..(row + 1) * tensor.row_len()).map(|at| nulls.is_null(at));
            assert!(of(0).all(|is_null| is_null) && !of(1).any(|is_null| is_null), "{name}");
        }
        // Keys are taken together: another shop's customer 1 is another one.
        let shop = Tensor::from_strs([1], &["b"]).expect("a column");
        let other = Tensors::one("shop", shop).with("customer", Tensor::from_vec([1], vec![1_i64]).expect("a column"));
        let question = OnlineRead::new(VIEW, other.expect("two names"), ["income"]);
        let rows = subject.store.read(question).await.expect("a valid question is answered");
        assert_eq!(rows.times, [None]);
    }
}

check! {
    "a view that is not there is `NotFound`; an unknown feature, and a missing, unknown, null or wrongly \
     typed key, is `InvalidInput`; each is named, and no message holds a key's value";
    async fn bad_questions_are_named(subject: Subject) {
        let (kind, text) = subject.refusal(OnlineRead::new("no such view", keys(&[1]), ["income"])).await;
        assert_eq!(kind, ErrorKind::NotFound, "{text}");
        assert!(text.contains("no such view"), "{text}");
        let only = |name: &str, tensor: Tensor| Tensors::one("shop", Tensor::from_strs([1], &["4711"]).expect("a column"))
            .with(name, tensor).expect("two names");
        let text_key = only("customer", Tensor::from_strs([1], &["4711"]).expect("a column"));
        let nulls = Tensor::from_vec([1], vec![4711_i64]).expect("a column");
        let nulls = nulls.with_nulls(Some(arrow_buffer::NullBuffer::new_null(1))).expect("as many");
        let extra = keys(&[4711]).with("age", Tensor::from_vec([1], vec![1_i64]).expect("a column"));
        for (keys, feature, name) in [
            (keys(&[4711]), "no such feature", "no such feature"),
            (Tensors::one("customer", Tensor::from_vec([1], vec![4711_i64]).expect("a column")), "income", "shop"),
            (text_key, "income", "customer"),
            (only("customer", nulls), "income", "customer"),
            (extra.expect("three names"), "income", "age"),
        ] {
            let (kind, text) = subject.refusal(OnlineRead::new(VIEW, keys, [feature])).await;
            assert_eq!(kind, ErrorKind::InvalidInput, "{text}");
            assert!(text.contains(name) && !text.contains("4711"), "{text:?} for {name:?}");
        }
    }
}

check! {
    "a deadline that has passed is `TimedOut`";
    async fn a_passed_deadline_is_timed_out(subject: Subject) {
        let past = Instant::now().checked_sub(Duration::from_millis(1)).unwrap_or_else(Instant::now);
        let question = OnlineRead::new(VIEW, keys(&[1]), ["income"]).with_deadline(Some(past));
        assert_eq!(subject.refusal(question).await.0, ErrorKind::TimedOut);
    }
}

check! {
    "no keys give no rows";
    async fn no_keys_give_no_rows(subject: Subject) {
        let rows = subject.read(&[], &ALL).await;
        assert!(rows.times.is_empty());
        assert!(rows.features.len() == 3 && rows.features.iter().all(|(_, tensor)| tensor.rows() == 0));
    }
}

check! {
    "a read that begins after it has returned sees it";
    async fn a_write_is_seen(subject: Subject) {
        for income in 0..20_u32 {
            subject.write(&[(1, f64::from(income), 1)]).await;
            assert_eq!(subject.income(1).await, Some(f64::from(income).to_bits()));
        }
    }
}

check! {
    "a row replaces the one of the same entity, unless that one is of a later time; so in one write, where \
     of equal times the last counts";
    async fn the_later_row_counts(subject: Subject) {
        subject.write(&[(1, 10.0, 5)]).await;
        subject.write(&[(1, 9.0, 4)]).await;
        assert_eq!(subject.income(1).await, Some(10.0_f64.to_bits()));
        subject.write(&[(1, 12.0, 7), (1, 11.0, 6), (1, 13.0, 7)]).await;
        assert_eq!(subject.income(1).await, Some(13.0_f64.to_bits()));
        assert_eq!(subject.read(&[1], &["income"]).await.times, [Some(time(7))]);
        subject.write(&[(1, 8.0, 3), (1, 7.0, 2)]).await;
        assert_eq!(subject.income(1).await, Some(13.0_f64.to_bits()));
    }
}

check! {
    "a null stays null, and what stands beside it stays too";
    async fn nulls_are_kept(subject: Subject) {
        let mut rows = written(&[(1, 10.0, 1), (2, 20.0, 1)]);
        let income = Tensor::from_vec([2], vec![10.0_f64, 20.0]).expect("a column");
        let income = income.with_nulls(Some(vec![false, true].into())).expect("as many");
        let rest = rows.features.into_iter().skip(1);
        rows.features = rest.fold(Tensors::one("income", income), |some, (name, tensor)| {
            some.with(name, tensor).expect("three names")
        });
        subject.store.write(rows).await.expect("valid rows are written");
        assert_eq!((subject.income(1).await, subject.income(2).await), (None, Some(20.0_f64.to_bits())));
        let rows = subject.read(&[1], &["state"]).await;
        assert_eq!(rows.features.require("state").expect("asked for").strs().expect("text"), ["state 1"]);
        assert_eq!(rows.times, [Some(time(1))]);
    }
}

check! {
    "a feature that is missing, unknown or wrongly typed, and as many times as there are not rows, are \
     `InvalidInput` and named, and nothing of that write is known afterwards";
    async fn a_bad_write_changes_nothing(subject: Subject) {
        let (good, column) = (written(&[(1, 1.0, 1), (2, 2.0, 1)]), Tensor::from_vec([2], vec![1_i64, 2]));
        let column = column.expect("a column");
        let without = |name: &str| good.features.clone().into_iter().filter(|own| *own.0 != *name).fold(
            Tensors::new(), |some, (name, tensor)| some.with(name, tensor).expect("unique"));
        let bad = [
            (without("state"), 2, "state"),
            (good.features.clone().with("age", column.clone()).expect("unique"), 2, "age"),
            (without("income").with("income", column).expect("unique"), 2, "income"),
            (good.features.clone(), 1, "1 times"),
        ];
        for (features, times, name) in bad {
            let rows = OnlineWrite::new(VIEW, good.keys.clone(), features, vec![time(1); times]);
            let error = subject.store.write(rows).await.expect_err("bad rows were written");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains(name), "{error} does not name {name:?}");
            assert_eq!((subject.income(1).await, subject.income(2).await), (None, None));
        }
    }
}

super::suite! {
    /// One named test a promise of [`OnlineStore`](crate::OnlineStore), on a backend that an expression
    /// makes: `online_store_conformance!(memory, make());` where `make` gives a
    /// [`Subject`](crate::conformance::online::Subject).
    online_store_conformance, online: [
        a_view_is_described, rows_stand_in_the_order_asked, features_are_those_asked, the_unknown_is_null,
        bad_questions_are_named, a_passed_deadline_is_timed_out, no_keys_give_no_rows, a_write_is_seen,
        the_later_row_counts, nulls_are_kept, a_bad_write_changes_nothing,
    ]
}
