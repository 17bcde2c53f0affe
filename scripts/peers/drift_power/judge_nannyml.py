"""NannyML's defaults: Jensen–Shannon of every column, and its reconstruction error of all together, which sees what
no single column shows; beside them its counts of missing and of unseen values, which are calculators of their own
that its guides put beside drift.

Usage: judge_nannyml.py FOLDER OUT
"""

import os
import sys

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml as nml

from study import Study, line


def main(folder, out):
    study = Study(folder)
    with open(out, "w") as file:
        for reference, windows in study.each_block():
            for scores in judged(study, reference, windows):
                print(line(scores), file=file)


def judged(study, reference, windows):
    names, size = study.columns, study.rows
    chunks = len(windows) // size
    scores = [{} for _ in range(chunks)]

    def keep(name, values):
        assert len(values) == chunks, (name, len(values), chunks)
        for own, value in zip(scores, values):
            own[name] = value

    def answers(calculator, period="analysis"):
        calculator.fit(reference)
        return calculator.calculate(windows).filter(period=period).to_df()

    drift = answers(nml.UnivariateDriftCalculator(
        column_names=names, treat_as_categorical=study.categories, chunk_size=size))
    for name in names:
        kind = "categorical" if name in study.categories else "continuous"
        method = [key for key in drift[name].columns.get_level_values(0) if key not in ("", "chunk")][0]
        assert method == "jensen_shannon", (kind, method)
        keep(name, drift[(name, method, "value")])
    error = answers(nml.DataReconstructionDriftCalculator(column_names=names, chunk_size=size), "all")
    values, period = error[("reconstruction_error", "value")], error[("chunk", "period")]
    # As its thresholds do: how far from the mean over the reference's chunks, either way.
    keep("reconstruction", (values[period == "analysis"] - values[period == "reference"].mean()).abs())
    missing = answers(nml.MissingValuesCalculator(column_names=names, chunk_size=size))
    unseen = answers(nml.UnseenValuesCalculator(column_names=study.categories, chunk_size=size))
    usual = reference.isna().mean()
    for name in names:
        keep(f"missing {name}", (missing[(name, "value")] - usual[name]).abs())
    for name in study.categories:
        keep(f"unseen {name}", unseen[(name, "value")])
    return scores


if __name__ == "__main__":
    main(*sys.argv[1:])
