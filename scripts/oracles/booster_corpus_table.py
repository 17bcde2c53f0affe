"""The table of booster_corpus.py: what of each library's formats and objectives loads, and what does not."""

from booster_corpus_catboost import not_saved, not_trained

# What the files are called.
FORMS = {"txt": "text", "json": "JSON", "ubj": "UBJSON", "onnx": "ONNX"}


def counts(older, entries):
    """Library, form: how many models agree, how many are refused."""
    found = {}
    for model in [*older, *entries]:
        row = found.setdefault((model["library"], FORMS[model["file"].rsplit(".", 1)[1]]), [0, 0])
        row["refused" in model] += 1
    return found


def table_of_objectives(library, names, entries):
    lines = []
    for name in names:
        models = [model for model in entries if model["library"] == library and model["objective"] == name]
        agreeing = [model["name"].removeprefix(f"{library}_") for model in models if "refused" not in model]
        refused = [model for model in models if "refused" in model]
        if agreeing:
            lines.append(f"  {name:28} agrees: {len(agreeing)} ({', '.join(agreeing[:3])}{', …' if len(agreeing) > 3 else ''})")
        elif refused:
            lines.append(f"  {name:28} refused: {refused[0]['refused']}")
        elif library == "catboost":
            lines.append(f"  {name:28} not trained by CatBoost on a CPU: {not_trained(name)}")
        else:
            raise AssertionError(f"{library} has {name}, of which there is no model")
    return lines


def write_table(path, made_with, older, entries, known):
    lines = ["What loads of boosted models, by booster_corpus.py: every model here is run by a test. Made with", ""]
    lines += [f"  {name} {version}" for name, version in made_with.items()]
    lines += ["", "Models by format: those whose library's predictions are met, those that are refused by name", ""]
    for (library, form), (agreeing, refused) in sorted(counts(older, entries).items()):
        lines.append(f"  {library + ', ' + form:28} {agreeing:3} {refused:3}")
    for library, names in known.items():
        lines += ["", f"Objectives of {library}", ""]
        lines += table_of_objectives(library, names, [*older, *entries])
    lines += ["", "What else the files show (beside those of boosted.py, whose names say it)", ""]
    lines += [f"  {model['name']:40} {model['shows']}" for model in entries if model["shows"] and "onnx" not in model["library"]]
    lines += ["", "Does not load", ""]
    lines += [f"  {model['name']:40} {model['refused']}" for model in entries if "refused" in model]
    lines += [f"  {'catboost_' + what:40} CatBoost: {said}" for what, said in not_saved()]
    path.write_text("\n".join(lines) + "\n")
