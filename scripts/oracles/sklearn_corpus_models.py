"""The plain models of sklearn_corpus.py: one estimator over packed numbers. Makes no files.

Every model is small and fitted with a fixed seed on a set that scikit-learn ships; targets of regressions are
standardised, so that an absolute bound means the same for each.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier, BaggingRegressor, ExtraTreesClassifier, ExtraTreesRegressor,
    GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier, HistGradientBoostingRegressor,
    IsolationForest, RandomForestClassifier, RandomForestRegressor, VotingClassifier, VotingRegressor, StackingClassifier,
    StackingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import (
    BayesianRidge, ElasticNet, GammaRegressor, HuberRegressor, Lasso, LinearRegression, LogisticRegression, Perceptron,
    PoissonRegressor, QuantileRegressor, Ridge, RidgeClassifier, SGDClassifier, SGDRegressor, TweedieRegressor,
)
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

SEED = 20261122


@dataclass
class Trained:
    """A fitted model, the rows that it saw, and how it is exported."""

    name: str
    model: Any
    data: Any
    options: dict = field(default_factory=dict)
    dtype: Any = np.float32
    # What of the model answers, beside `predict`: a method's name, or none.
    scores: str | None = None


def iris():
    data = load_iris()
    return data.data.astype(np.float32), data.target


def cancer(columns=8):
    data = load_breast_cancer()
    rows = (data.data - data.data.mean(0)) / data.data.std(0)
    return rows[:, :columns].astype(np.float32), data.target


def wine():
    data = load_wine()
    rows = (data.data - data.data.mean(0)) / data.data.std(0)
    return rows[:, :6].astype(np.float32), data.target


def diabetes():
    data = load_diabetes(scaled=False)
    rows = (data.data - data.data.mean(0)) / data.data.std(0)
    return rows[:, :6].astype(np.float32), (data.target - data.target.mean()) / data.target.std()


def coarse(pair):
    """Numbers between which the middle is an f32: skl2onnx rounds thresholds of these models to the nearest one, which may
    be on the other side of a row at the threshold.
    """
    return np.round(pair[0] * 64) / np.float32(64), pair[1]


def named(pair, words):
    """The classes as texts."""
    return pair[0], np.array(words, dtype=object)[pair[1]]


def classifiers():
    """Name, model, data, and what it gives beside labels."""
    proba, margin = "predict_proba", "decision_function"
    seed = {"random_state": SEED}
    texts = named(iris(), ["setosa", "versicolor", "virginica"])
    yield "logistic_binary", LogisticRegression(), cancer(), proba
    yield "logistic_multinomial", LogisticRegression(max_iter=500), iris(), proba
    yield "logistic_texts", LogisticRegression(max_iter=500), texts, proba
    yield "sgd_hinge", SGDClassifier(**seed), cancer(), margin
    yield "sgd_log", SGDClassifier(loss="log_loss", **seed), iris(), proba
    yield "sgd_modified_huber", SGDClassifier(loss="modified_huber", **seed), cancer(), proba
    yield "ridge_classifier", RidgeClassifier(), cancer(), margin
    yield "perceptron", Perceptron(**seed), iris(), margin
    yield "linear_svc", LinearSVC(**seed), cancer(), margin
    yield "linear_svc_multiclass", LinearSVC(**seed), wine(), margin
    yield "svc_linear", SVC(kernel="linear"), cancer(4), margin
    yield "svc_rbf", SVC(), cancer(4), margin
    yield "svc_poly", SVC(kernel="poly", degree=3, coef0=1.0), iris(), margin
    yield "svc_sigmoid", SVC(kernel="sigmoid", gamma=0.05), cancer(4), margin
    yield "svc_multiclass_ovr", SVC(), wine(), margin
    yield "svc_multiclass_ovo", SVC(decision_function_shape="ovo"), wine(), margin
    yield "svc_texts", SVC(), texts, margin
    yield "svc_probability_binary", SVC(probability=True, **seed), cancer(4), proba
    yield "svc_probability", SVC(probability=True, **seed), iris(), proba
    yield "svc_probability_texts", SVC(kernel="poly", degree=2, probability=True, **seed), texts, proba
    yield "nu_svc", NuSVC(nu=0.2), iris(), margin
    yield "nu_svc_probability", NuSVC(nu=0.2, probability=True, **seed), cancer(4), proba
    yield "tree", DecisionTreeClassifier(max_depth=5, **seed), cancer(), proba
    yield "tree_texts", DecisionTreeClassifier(max_depth=4, **seed), texts, proba
    yield "extra_tree", ExtraTreeClassifier(max_depth=5, **seed), iris(), proba
    yield "random_forest", RandomForestClassifier(12, max_depth=5, **seed), iris(), proba
    yield "random_forest_binary", RandomForestClassifier(12, max_depth=4, **seed), cancer(), proba
    yield "extra_trees", ExtraTreesClassifier(12, max_depth=4, **seed), wine(), proba
    yield "gradient_boosting", GradientBoostingClassifier(n_estimators=12, max_depth=3, **seed), cancer(), proba
    yield "gradient_boosting_multiclass", GradientBoostingClassifier(n_estimators=6, max_depth=2, **seed), iris(), proba
    yield "hist_gradient_boosting", HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=8, **seed), coarse(cancer()), proba
    yield "hist_gradient_boosting_multiclass", HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=5, **seed), coarse(iris()), proba
    yield "ada_boost", AdaBoostClassifier(n_estimators=6, **seed), iris(), proba
    yield "bagging", BaggingClassifier(DecisionTreeClassifier(max_depth=3), 5, **seed), iris(), proba
    yield "bagging_logistic", BaggingClassifier(LogisticRegression(), 3, max_features=0.5, **seed), cancer(), proba
    yield "k_neighbors", KNeighborsClassifier(3), few(iris()), proba
    yield "k_neighbors_distance", KNeighborsClassifier(4, weights="distance"), few(wine()), proba
    yield "gaussian_nb", GaussianNB(), iris(), proba
    yield "multinomial_nb", MultinomialNB(), iris(), proba
    yield "complement_nb", ComplementNB(), iris(), proba
    yield "bernoulli_nb", BernoulliNB(binarize=0.2), cancer(), proba
    yield "linear_discriminant", LinearDiscriminantAnalysis(), iris(), proba
    yield "quadratic_discriminant", QuadraticDiscriminantAnalysis(), iris(), proba
    yield "mlp_classifier", MLPClassifier(hidden_layer_sizes=(6, 5), max_iter=400, **seed), iris(), proba
    yield "mlp_logistic", MLPClassifier(hidden_layer_sizes=(6,), activation="logistic", max_iter=400, **seed), cancer(), proba
    yield "voting_soft", VotingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3, **seed)), ("c", GaussianNB())], voting="soft", flatten_transform=False), iris(), proba
    yield "voting_hard", VotingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3, **seed)), ("c", GaussianNB())], flatten_transform=False), iris(), None
    yield "stacking", StackingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3, **seed))], LogisticRegression(), cv=3), iris(), proba
    yield "calibrated_sigmoid", CalibratedClassifierCV(LinearSVC(**seed), cv=2), cancer(), proba
    yield "calibrated_isotonic", CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2), cancer(), proba
    yield "one_vs_rest", OneVsRestClassifier(LogisticRegression()), iris(), proba
    yield "one_vs_one", OneVsOneClassifier(LogisticRegression()), iris(), None
    yield "multi_output_classifier", MultiOutputClassifier(LogisticRegression()), two_labels(), proba
    yield "multi_label_tree", DecisionTreeClassifier(max_depth=4, **seed), coarse(two_labels()), proba
    yield "multi_label_knn", KNeighborsClassifier(3), few(two_labels()), proba
    yield "multi_label_mlp", MLPClassifier(hidden_layer_sizes=(6,), max_iter=400, **seed), two_labels(), proba


def few(pair):
    """A third of the rows: neighbours are stored in the file."""
    return pair[0][::3], pair[1][::3]


def two_labels():
    rows, target = iris()
    return rows, np.column_stack([target > 0, rows[:, 0] > 5.8]).astype(np.int64)


def two_targets():
    rows, target = diabetes()
    return rows, np.column_stack([target, rows[:, 2] * target])


def positive():
    rows, target = diabetes()
    return rows, np.exp(target / 2)


def regressors():
    seed = {"random_state": SEED}
    for name, model in [("linear", LinearRegression()), ("ridge", Ridge()), ("lasso", Lasso(0.05)), ("elastic_net", ElasticNet(0.05)),
                        ("bayesian_ridge", BayesianRidge()), ("huber", HuberRegressor()), ("quantile", QuantileRegressor(alpha=0.01)),
                        ("sgd_regressor", SGDRegressor(**seed)), ("linear_svr", LinearSVR(**seed))]:
        yield name, model, diabetes()
    yield "linear_multi_output", LinearRegression(), two_targets()
    yield "poisson", PoissonRegressor(), positive()
    yield "gamma", GammaRegressor(), positive()
    yield "tweedie", TweedieRegressor(power=1.5), positive()
    for kernel in ["linear", "rbf", "poly", "sigmoid"]:
        yield f"svr_{kernel}", SVR(kernel=kernel, gamma=0.05, degree=2 if kernel == "poly" else 3), few(diabetes())
    yield "nu_svr", NuSVR(nu=0.3), few(diabetes())
    yield "tree_regressor", DecisionTreeRegressor(max_depth=5, **seed), diabetes()
    yield "tree_multi_output", DecisionTreeRegressor(max_depth=4, **seed), two_targets()
    yield "random_forest_regressor", RandomForestRegressor(10, max_depth=5, **seed), diabetes()
    yield "extra_trees_regressor", ExtraTreesRegressor(10, max_depth=5, **seed), diabetes()
    yield "gradient_boosting_regressor", GradientBoostingRegressor(n_estimators=15, max_depth=3, **seed), diabetes()
    yield "hist_gradient_boosting_regressor", HistGradientBoostingRegressor(max_iter=10, max_leaf_nodes=10, **seed), coarse(diabetes())
    yield "ada_boost_regressor", AdaBoostRegressor(DecisionTreeRegressor(max_depth=3), n_estimators=5, **seed), diabetes()
    yield "bagging_regressor", BaggingRegressor(DecisionTreeRegressor(max_depth=3), 5, **seed), diabetes()
    yield "k_neighbors_regressor", KNeighborsRegressor(3), few(diabetes())
    yield "mlp_regressor", MLPRegressor(hidden_layer_sizes=(8,), max_iter=600, **seed), diabetes()
    yield "mlp_regressor_tanh", MLPRegressor(hidden_layer_sizes=(6, 4), activation="tanh", max_iter=600, **seed), two_targets()
    yield "voting_regressor", VotingRegressor([("a", LinearRegression()), ("b", DecisionTreeRegressor(max_depth=3, **seed))]), diabetes()
    yield "stacking_regressor", StackingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3, **seed))], Ridge(), cv=3), diabetes()
    yield "multi_output_regressor", MultiOutputRegressor(Lasso(0.05)), two_targets()
    yield "gaussian_process", GaussianProcessRegressor(kernel=RBF(2.0), alpha=0.1), few(few(diabetes()))


def others():
    """Models without a target: name, model, rows, what it gives beside labels."""
    seed = {"random_state": SEED}
    yield "isolation_forest", IsolationForest(n_estimators=8, max_samples=48, **seed), iris(), "decision_function"
    yield "k_means", KMeans(3, n_init=2, **seed), iris(), "transform"
    yield "mini_batch_k_means", MiniBatchKMeans(4, n_init=2, **seed), wine(), "transform"
    yield "one_class_svm", OneClassSVM(nu=0.2), iris(), "decision_function"
    yield "gaussian_mixture", GaussianMixture(2, **seed), iris(), "predict_proba"
    yield "local_outlier_factor", LocalOutlierFactor(n_neighbors=5, novelty=True), few(iris()), "decision_function"


def plain_models():
    for name, model, (rows, target), scores in classifiers():
        # A linear machine is exported with scores and no maps whatever is asked.
        options = {} if isinstance(model, LinearSVC) else {"zipmap": False}
        if scores == "decision_function":
            options["raw_scores"] = True
        yield Trained(name, model.fit(rows.astype(np.float64), target), rows, options, scores=scores)
    for name, model, (rows, target) in regressors():
        yield Trained(name, model.fit(rows.astype(np.float64), target), rows)
    for name, model, (rows, _), scores in others():
        yield Trained(name, model.fit(rows.astype(np.float64)), rows, scores=scores)
    for name, model in [("linear_double", LinearRegression()), ("tree_double", DecisionTreeRegressor(max_depth=5, random_state=SEED)),
                        ("mlp_double", MLPRegressor(hidden_layer_sizes=(6,), max_iter=600, random_state=SEED)), ("scaled_double", make_pipeline(StandardScaler(), PCA(3), Lasso(0.05)))]:
        rows, target = diabetes()
        yield Trained(name, model.fit(rows.astype(np.float64), target), rows, dtype=np.float64)
