"""The pipelines of sklearn_corpus.py: encoders, scalers and selections before a model. Makes no files."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_selection import SelectFromModel, SelectKBest, SelectPercentile, VarianceThreshold
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer, FunctionTransformer, KBinsDiscretizer, MaxAbsScaler, MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder,
    PolynomialFeatures, PowerTransformer, QuantileTransformer, RobustScaler, SplineTransformer, StandardScaler,
)
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_corpus_models import SEED, Trained, cancer, coarse, diabetes, iris, wine

NUMBERS = ["age", "weight", "dose"]


def table(rows=160):
    """A table of made-up patients: three numbers with gaps, a whole number and two texts."""
    rng = np.random.default_rng(SEED)
    frame = pd.DataFrame({name: rng.normal(size=rows).round(3).astype(np.float32) for name in NUMBERS})
    frame["grade"] = rng.integers(0, 4, rows)
    frame["site"] = rng.choice(["left", "right", "upper", "lower"], rows).astype(object)
    frame["ward"] = rng.choice(["a", "b", "c"], rows).astype(object)
    margin = frame["age"] + (frame["site"] == "left") - 0.5 * frame["grade"] + rng.normal(size=rows) * 0.3
    gaps = rng.random((rows, 3)) < 0.1
    frame[NUMBERS] = frame[NUMBERS].mask(gaps)
    return frame, (margin > margin.median()).astype(np.int64).to_numpy(), margin.to_numpy()


def gapped(pair, share=0.1):
    rng = np.random.default_rng(SEED)
    rows = pair[0].copy()
    rows[rng.random(rows.shape) < share] = np.nan
    return rows, pair[1]


def packed():
    """Pipelines over packed numbers: name, steps, data, whether the last step classifies."""
    logistic, linear = lambda: LogisticRegression(max_iter=800), LinearRegression
    yield "pipe_standard_logistic", make_pipeline(StandardScaler(), logistic()), iris()
    yield "pipe_min_max_logistic", make_pipeline(MinMaxScaler(), logistic()), cancer()
    yield "pipe_min_max_clip", make_pipeline(MinMaxScaler(clip=True), logistic()), cancer()
    yield "pipe_robust_ridge", make_pipeline(RobustScaler(), Ridge()), diabetes()
    yield "pipe_max_abs_svr", make_pipeline(MaxAbsScaler(), SVR()), (diabetes()[0][::4], diabetes()[1][::4])
    yield "pipe_standard_svc", make_pipeline(StandardScaler(), SVC(probability=True, random_state=SEED)), wine()
    yield "pipe_polynomial_ridge", make_pipeline(PolynomialFeatures(2), Ridge()), diabetes()
    yield "pipe_polynomial_interaction", make_pipeline(PolynomialFeatures(3, interaction_only=True, include_bias=False), Ridge()), iris()
    yield "pipe_bins_logistic", make_pipeline(KBinsDiscretizer(4, encode="onehot-dense", quantile_method="averaged_inverted_cdf"), logistic()), iris()
    yield "pipe_bins_ordinal", make_pipeline(KBinsDiscretizer(4, encode="ordinal", strategy="uniform"), linear()), diabetes()
    yield "pipe_binarizer", make_pipeline(Binarizer(threshold=0.3), logistic()), cancer()
    yield "pipe_normalizer", make_pipeline(Normalizer(), logistic()), iris()
    yield "pipe_normalizer_l1", make_pipeline(Normalizer("l1"), logistic()), iris()
    yield "pipe_pca", make_pipeline(StandardScaler(), PCA(2), logistic()), wine()
    yield "pipe_pca_whiten", make_pipeline(PCA(3, whiten=True), linear()), diabetes()
    yield "pipe_svd", make_pipeline(TruncatedSVD(2, random_state=SEED), logistic()), iris()
    yield "pipe_k_best", make_pipeline(SelectKBest(k=3), logistic()), cancer()
    yield "pipe_percentile", make_pipeline(SelectPercentile(percentile=50), logistic()), wine()
    yield "pipe_variance", make_pipeline(VarianceThreshold(0.3), logistic()), iris()
    yield "pipe_from_model", make_pipeline(SelectFromModel(DecisionTreeClassifier(random_state=SEED)), logistic()), cancer()
    yield "pipe_union", make_pipeline(FeatureUnion([("scaled", StandardScaler()), ("pca", PCA(2)), ("best", SelectKBest(k=1))]), logistic()), iris()
    yield "pipe_imputer_mean", make_pipeline(SimpleImputer(), StandardScaler(), logistic()), gapped(cancer())
    yield "pipe_imputer_median_tree", make_pipeline(SimpleImputer(strategy="median"), DecisionTreeClassifier(max_depth=5, random_state=SEED)), gapped(wine())
    yield "pipe_imputer_constant", make_pipeline(SimpleImputer(strategy="constant", fill_value=-1.0), linear()), gapped(diabetes())
    yield "pipe_imputer_indicator", make_pipeline(SimpleImputer(add_indicator=True), linear()), gapped(diabetes())
    yield "pipe_imputer_knn", make_pipeline(KNNImputer(n_neighbors=2), linear()), (gapped(diabetes())[0][::8], diabetes()[1][::8])
    yield "pipe_power", make_pipeline(PowerTransformer(), linear()), diabetes()
    yield "pipe_quantile", make_pipeline(QuantileTransformer(n_quantiles=10, random_state=SEED), linear()), diabetes()
    yield "pipe_spline", make_pipeline(SplineTransformer(n_knots=3), linear()), diabetes()
    yield "pipe_function", make_pipeline(FunctionTransformer(), linear()), diabetes()
    yield "pipe_forest_missing", make_pipeline(FunctionTransformer(), RandomForestClassifier(8, max_depth=4, random_state=SEED)), gapped(iris())
    yield "pipe_hist_missing", make_pipeline(FunctionTransformer(), HistGradientBoostingRegressor(max_iter=8, max_leaf_nodes=8, random_state=SEED)), gapped(coarse(diabetes()))
    yield "target_transformed", TransformedTargetRegressor(Ridge(), transformer=StandardScaler()), diabetes()


def tables():
    """Pipelines over a table, one input a column: name, columns' transformer and model, and which of the targets."""
    one_hot = lambda **more: OneHotEncoder(handle_unknown="ignore", **more)  # noqa: E731
    numbers = lambda *steps: ("numbers", make_pipeline(*steps), NUMBERS)  # noqa: E731
    texts = ["site", "ward"]
    logistic = lambda: LogisticRegression(max_iter=500)  # noqa: E731
    filled = lambda: SimpleImputer(strategy="median")  # noqa: E731
    yield "table_one_hot_logistic", [numbers(filled(), StandardScaler()), ("texts", one_hot(), texts), ("grade", one_hot(), ["grade"])], logistic()
    yield "table_one_hot_forest", [numbers(filled()), ("texts", one_hot(), texts)], RandomForestClassifier(8, max_depth=4, random_state=SEED)
    yield "table_one_hot_boosting", [numbers(SimpleImputer()), ("texts", one_hot(), ["site"])], GradientBoostingClassifier(n_estimators=8, random_state=SEED)
    yield "table_one_hot_ridge", [numbers(filled(), MinMaxScaler()), ("texts", one_hot(), texts)], Ridge()
    yield "table_one_hot_drop", [numbers(filled()), ("texts", OneHotEncoder(drop="first"), texts)], Ridge()
    yield "table_one_hot_rare", [numbers(filled()), ("texts", one_hot(min_frequency=45), texts)], Ridge()
    yield "table_ordinal_tree", [numbers(filled()), ("texts", OrdinalEncoder(), texts)], DecisionTreeRegressor(max_depth=4, random_state=SEED)
    yield "table_ordinal_unknown", [numbers(filled(), RobustScaler()), ("texts", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), texts)], Ridge()
    yield "table_text_imputer", [numbers(filled()), ("texts", make_pipeline(SimpleImputer(missing_values="", strategy="most_frequent"), one_hot()), texts)], logistic()
    yield "table_one_hot_svc", [numbers(filled(), StandardScaler()), ("texts", one_hot(), texts)], SVC(probability=True, random_state=SEED)
    yield "table_pass_through", [("texts", one_hot(), texts), ("grade", "passthrough", ["grade"])], logistic()
    yield "table_polynomial", [numbers(filled(), PolynomialFeatures(2)), ("texts", one_hot(), ["ward"])], Ridge()


def pipelines():
    for name, model, (rows, target) in packed():
        model.fit(rows.astype(np.float64), target)
        classifier = hasattr(model, "classes_")
        yield Trained(name, model, rows, {"zipmap": False} if classifier else {}, scores="predict_proba" if classifier else None)
    frame, label, number = table()
    for name, columns, last in tables():
        classifier = hasattr(last, "predict_proba")
        # A sparse matrix, which the graph has not, would only differ in how sums are rounded.
        model = make_pipeline(ColumnTransformer(columns, sparse_threshold=0), last).fit(frame, label if classifier else number)
        yield Trained(name, model, frame, {"zipmap": False} if classifier else {}, scores="predict_proba" if classifier else None)
