"""The cases of tabular_operators.py of support vector machines.

Imported by tabular_operators.py; makes no files on its own.
"""

import numpy as np

from tabular_operator_cases import ML, one

ROWS = np.random.default_rng(7).normal(size=(30, 3)).astype(np.float32)
KERNELS = {"LINEAR": [0.5, 0.25, 3.0], "POLY": [0.5, 0.25, 3.0], "RBF": [0.5, 0.0, 3.0], "SIGMOID": [0.3, 0.1, 3.0]}


def numbers(rng, *shape):
    return rng.normal(size=shape).astype(np.float32).ravel().tolist()


def machine(rng, per_class, probabilities=False):
    """Attributes of a classifier with so many vectors a class."""
    classes, vectors = len(per_class), sum(per_class)
    pairs = classes * (classes - 1) // 2
    made = {
        "vectors_per_class": per_class, "support_vectors": numbers(rng, vectors, 3),
        "coefficients": numbers(rng, classes - 1, vectors), "rho": numbers(rng, pairs),
    }
    if probabilities:
        made |= {"prob_a": numbers(rng, pairs), "prob_b": numbers(rng, pairs)}
    return made


def classifier(name, rows=ROWS, labels=None, **attributes):
    labels = labels or {"classlabels_ints": list(range(3, 3 + len(attributes.get("vectors_per_class", [0, 0]))))}
    case = one(name, "SVMClassifier", {"x": rows}, outputs=2, domain=ML, **labels, **attributes)
    return case


def classifier_cases(rng):
    for kernel, parameters in KERNELS.items():
        for per_class in [[2, 3], [2, 1, 3], [1, 2, 2, 1]]:
            for probabilities in [False, True]:
                name = f"SVMClassifier {kernel} of {len(per_class)}{' with probabilities' * probabilities}"
                yield classifier(name, kernel_type=kernel, kernel_params=parameters, **machine(rng, per_class, probabilities))
    for degree in [1.0, 2.0, 4.0]:
        yield classifier(f"SVMClassifier of degree {degree}", kernel_type="POLY", kernel_params=[0.5, 3.0, degree], **machine(rng, [2, 2]))
    texts = {"classlabels_strings": ["left", "right", "über"]}
    yield classifier("SVMClassifier of texts", labels=texts, kernel_type="RBF", kernel_params=[0.5, 0.0, 3.0], **machine(rng, [2, 2, 2]))
    yield classifier("SVMClassifier of a class without vectors", kernel_type="RBF", kernel_params=[0.5, 0.0, 3.0], **machine(rng, [2, 0, 2], True))
    for dtype in [np.float64, np.int64, np.int32]:
        rows = (ROWS * 3).astype(dtype)
        yield classifier(f"SVMClassifier over {dtype.__name__}", rows, kernel_type="RBF", kernel_params=[0.1, 0.0, 3.0], **machine(rng, [2, 3]))
    for post in ["SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"]:
        yield classifier(f"SVMClassifier and {post}", kernel_type="RBF", kernel_params=[0.5, 0.0, 3.0], post_transform=post, **machine(rng, [2, 1, 2]))
    for classes in [2, 3]:
        labels = {"classlabels_ints": list(range(classes))}
        linear = {"coefficients": numbers(rng, classes, 3), "rho": [0.25], "kernel_params": [0.0, 0.0, 0.0], "kernel_type": "LINEAR"}
        yield classifier(f"SVMClassifier of {classes} and no vectors", labels=labels, **linear)
        linear["coefficients"] = np.abs(linear["coefficients"]).tolist()
        yield classifier(f"SVMClassifier of {classes} and nothing negative", labels=labels, **linear)


def regressor_cases(rng):
    for kernel, parameters in KERNELS.items():
        for one_class in [0, 1]:
            yield one(
                f"SVMRegressor {kernel}{' of one class' * one_class}", "SVMRegressor", {"x": ROWS}, domain=ML, kernel_type=kernel,
                kernel_params=parameters, n_supports=4, support_vectors=numbers(rng, 4, 3), coefficients=numbers(rng, 4), rho=numbers(rng, 1),
                one_class=one_class,
            )
    yield one(
        "SVMRegressor without vectors", "SVMRegressor", {"x": ROWS}, domain=ML, kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0],
        n_supports=0, coefficients=numbers(rng, 3), rho=[0.5],
    )


def svm_cases():
    rng = np.random.default_rng(20261122)
    yield from classifier_cases(rng)
    yield from regressor_cases(rng)
