"""What scikit-learn's perceptrons answer, for the candle engine to agree with.

Writes mlops-serve/tests/data/candle: weights in safetensors, their shape in JSON, standardised
rows of the wine data set and the probabilities that scikit-learn gives for them.
Made with Python 3.11, scikit-learn 1.9.1, safetensors 0.8.0, numpy 2.4.6:
    pip install scikit-learn safetensors && python scripts/oracles/candle.py
"""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.datasets import load_wine
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

OUT = Path(__file__).parents[2] / "mlops-serve/tests/data/candle"
HIDDEN = [24, 8]


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rows, labels = load_wine(return_X_y=True)
    rows = StandardScaler().fit_transform(rows).astype(np.float32)
    rows.astype("<f4").tofile(OUT / "x.f32")
    for activation in ["relu", "tanh"]:
        model = MLPClassifier(HIDDEN, activation=activation, random_state=0, max_iter=40)
        model.fit(rows.astype(np.float64), labels)
        # What is stored is what answers: weights as the file holds them, sums in 64 bits.
        model.coefs_ = [w.astype(np.float32).astype(np.float64) for w in model.coefs_]
        model.intercepts_ = [b.astype(np.float32).astype(np.float64) for b in model.intercepts_]
        probabilities = model.predict_proba(rows.astype(np.float64))
        probabilities.astype("<f4").tofile(OUT / f"{activation}.probabilities.f32")
        tensors = {}
        for number, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_)):
            tensors[f"layers.{number}.weight"] = np.ascontiguousarray(weight.T.astype(np.float32))
            tensors[f"layers.{number}.bias"] = bias.astype(np.float32)
        save_file(tensors, OUT / f"{activation}.safetensors")
        config = {
            "version": 1, "input": "x", "width": rows.shape[1], "hidden": HIDDEN,
            "activation": activation, "task": {"classes": 3}, "outputs": ["label", "probabilities"],
        }
        (OUT / f"{activation}.json").write_text(json.dumps(config) + "\n")


if __name__ == "__main__":
    main()
