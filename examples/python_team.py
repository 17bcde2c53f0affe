"""The Python half of python_team.rs: plain MLflow. Nothing here knows that the record is kept by a Rust service.

MLFLOW_TRACKING_URI=http://… python3 examples/python_team.py [logistic|forest]
needs: pip install mlflow onnx onnxruntime skl2onnx
"""

import sys
from pathlib import Path

import mlflow
import numpy as np
import pyarrow.parquet as pq
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

KINDS = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": lambda: RandomForestClassifier(n_estimators=50, max_depth=10, random_state=7),
}


def rows(year):
    """One year of the survey: 16 features of a person, and whether that person is employed."""
    table = pq.read_table(Path(__file__).parent / "data/employment_ma.parquet", filters=[("year", "=", year)])
    features = [name for name in table.column_names if name.isupper()]
    columns = [table[name].to_numpy().astype(np.float32) for name in features]
    return np.stack(columns, axis=1), table["employed"].to_numpy()


def main(kind):
    (seen, employed), (unseen, truth) = rows(2015), rows(2016)
    mlflow.set_experiment("employment")
    # The parameters, the metrics of training and what they were computed from, as ever.
    mlflow.sklearn.autolog(log_models=False)
    with mlflow.start_run(run_name=kind):
        model = KINDS[kind]().fit(seen, employed)
        mlflow.log_metric("roc_auc_2016", roc_auc_score(truth, model.predict_proba(unseen)[:, 1]))
        # ONNX is what both sides read; a pickle would need Python to answer.
        portable = to_onnx(model, seen[:1], options={"zipmap": False})
        logged = mlflow.onnx.log_model(
            portable,
            name="model",
            registered_model_name="employment",
            signature=infer_signature(seen[:5]),
            pip_requirements=["onnx", "onnxruntime"],
        )
    client = mlflow.MlflowClient()
    version = str(logged.registered_model_version)
    client.set_registered_model_alias("employment", "champion", version)
    print(f"python: version {version}, {kind}, is the champion")


if __name__ == "__main__":
    main(*sys.argv[1:] or ["logistic"])
