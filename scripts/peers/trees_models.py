"""The two models of `scripts/bench trees` and what the peers make of them.

Gradient boosting of 100 trees, depth 5, over 30 features, by scikit-learn and by
LightGBM, both as ONNX, LightGBM's as text too; compiled by lleaves and by tl2cgen
with gcc -O3 for this very processor. Everything is made once and kept in FOLDER.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

TREES, DEPTH, FEATURES, TRAINED, ROWS = 100, 5, 30, 6_000, 8_192


def make(folder):
    """Models, rows and compiled peers, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done"
    if not done.exists():
        features, classes = data(np.random.default_rng(7))
        features[TRAINED:].tofile(folder / "rows.f32")
        scikit(folder, features[:TRAINED], classes[:TRAINED])
        lightgbm(folder, features[:TRAINED], classes[:TRAINED])
        lleaves(folder)
        driver(folder)
        done.touch()
    return np.fromfile(folder / "rows.f32", "<f4").reshape(ROWS, FEATURES)


def data(random):
    """Noisy classes that depend on many features together, so that trees differ and are full."""
    features = random.normal(size=(TRAINED + ROWS, FEATURES)).astype("<f4")
    waves = np.sin(features[:, :10] * 2).sum(axis=1)
    products = (features[:, 10:20] * features[:, 20:]).sum(axis=1)
    noise = random.normal(size=len(features))
    return features, (waves + products + noise > 0).astype(int)


def scikit(folder, features, classes):
    import tl2cgen
    import treelite

    model, exported = boosting(features, classes)
    leaves = [tree.get_n_leaves() for tree in model.estimators_[:, 0]]
    print(f"scikit-learn: {np.mean(leaves):.1f} leaves a tree", file=sys.stderr)
    (folder / "sklearn.onnx").write_bytes(exported)
    tl2cgen.generate_c_code(treelite.sklearn.import_model(model), folder / "tl2cgen_sklearn", {})


def boosting(features, classes):
    """scikit-learn's model, and its bytes as ONNX."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=TREES, max_depth=DEPTH, random_state=7)
    model.fit(features, classes)
    exported = to_onnx(model, features[:1], options={"zipmap": False})
    return model, exported.SerializeToString()


def lightgbm(folder, features, classes):
    import lightgbm
    import onnxmltools
    import tl2cgen
    import treelite
    from onnxmltools.convert.common.data_types import FloatTensorType

    parameters = dict(objective="binary", max_depth=DEPTH, num_leaves=2**DEPTH, seed=7, num_threads=2,
                      min_data_in_leaf=5, deterministic=True, verbosity=-1)
    model = lightgbm.train(parameters, lightgbm.Dataset(features, classes), TREES)
    model.save_model(folder / "lightgbm.txt")
    exported = onnxmltools.convert_lightgbm(
        model, initial_types=[("features", FloatTensorType([None, FEATURES]))], zipmap=False
    )
    (folder / "lightgbm.onnx").write_bytes(exported.SerializeToString())
    loaded = treelite.frontend.load_lightgbm_model(folder / "lightgbm.txt")
    tl2cgen.generate_c_code(loaded, folder / "tl2cgen_lightgbm", {})


def lleaves(folder):
    """Machine code in two object files: by blocks of trees as it comes, and without, for single rows."""
    import lleaves

    for name, block in (("lleaves", 34), ("lleaves_single", TREES)):
        path = folder / f"{name}.o"
        path.unlink(missing_ok=True)
        model = lleaves.Model(model_file=str(folder / "lightgbm.txt"))
        model.compile(cache=str(path), froot_func_name=name, fblocksize=block, fcodemodel="small")


def driver(folder):
    """trees_peers.c with the code that was made, in one program for each model."""
    import lightgbm

    source = Path(__file__).with_name("trees_peers.c")
    library = Path(lightgbm.__file__).parent / "lib"
    flags = ["gcc", "-O3", "-march=native", "-no-pie"]
    for model in ("sklearn", "lightgbm"):
        own = folder / f"tl2cgen_{model}"
        command = [*flags, f"-I{own}", source, *sorted(own.glob("*.c")), "-o", folder / f"peers_{model}"]
        if model == "lightgbm":
            command += ["-DLIGHTGBM", folder / "lleaves.o", folder / "lleaves_single.o",
                        f"-L{library}", "-l_lightgbm", f"-Wl,-rpath,{library}"]
        subprocess.run([*command, "-lm"], check=True)
