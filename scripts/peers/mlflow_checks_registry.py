"""Checks: registered models, their versions, aliases and stages."""

import mlflow
from mlflow_client import refused, same


def a_model(peer, versions=0):
    name = peer.name("model")
    peer.client.create_registered_model(name)
    for i in range(versions):
        peer.client.create_model_version(name, source=f"s3://bucket/{i}")
    return name


def models(peer):
    name = peer.name("model")
    made = peer.client.create_registered_model(name, tags={"team": "risk"}, description="finds it")
    same((made.name, made.description, made.tags), (name, "finds it", {"team": "risk"}))
    refused("RESOURCE_ALREADY_EXISTS", peer.client.create_registered_model, name)
    refused("INVALID_PARAMETER_VALUE", peer.client.create_registered_model, "a/b")
    peer.client.set_registered_model_tag(name, "tier", "1")
    peer.client.delete_registered_model_tag(name, "team")
    peer.client.update_registered_model(name, "finds more")
    given = peer.client.get_registered_model(name)
    same((given.description, given.tags), ("finds more", {"tier": "1"}))
    assert given.last_updated_timestamp >= given.creation_timestamp
    renamed = peer.name("renamed")
    peer.client.rename_registered_model(name, renamed)
    same(peer.client.get_registered_model(renamed).tags, {"tier": "1"})
    refused("RESOURCE_DOES_NOT_EXIST", peer.client.get_registered_model, name)
    peer.client.delete_registered_model(renamed)
    refused("RESOURCE_DOES_NOT_EXIST", peer.client.get_registered_model, renamed)


def versions(peer):
    name, run = a_model(peer), peer.client.create_run(peer.experiment("versions")).info
    first = peer.client.create_model_version(
        name, f"{run.artifact_uri}/m", run.run_id, tags={"cv": "5"}, description="first",
        run_link="http://x/y")
    same((str(first.version), first.status, first.run_id, first.description),
         ("1", "READY", run.run_id, "first"))
    same((first.tags, first.run_link, first.current_stage), ({"cv": "5"}, "http://x/y", "None"))
    same(str(peer.client.create_model_version(name, "s3://bucket/2").version), "2")
    peer.client.set_model_version_tag(name, "1", "cv", "10")
    peer.client.set_model_version_tag(name, "1", "gone", "soon")
    peer.client.delete_model_version_tag(name, "1", "gone")
    peer.client.update_model_version(name, "1", "first, described")
    given = peer.client.get_model_version(name, "1")
    same((given.description, given.tags), ("first, described", {"cv": "10"}))
    same(peer.client.get_model_version_download_uri(name, "1"), f"{run.artifact_uri}/m")
    peer.client.delete_model_version(name, "2")
    refused("RESOURCE_DOES_NOT_EXIST", peer.client.get_model_version, name, "2")
    refused("RESOURCE_DOES_NOT_EXIST", peer.client.create_model_version, peer.name("none"),
            "s3://b/m")
    refused("INVALID_PARAMETER_VALUE", peer.client.create_model_version, name, "file:///etc")


def aliases(peer):
    name = a_model(peer, 2)
    peer.client.set_registered_model_alias(name, "champion", "1")
    peer.client.set_registered_model_alias(name, "second", "1")
    same(str(peer.client.get_model_version_by_alias(name, "champion").version), "1")
    same(sorted(peer.client.get_model_version(name, "1").aliases), ["champion", "second"])
    peer.client.set_registered_model_alias(name, "champion", "2")
    same({k: str(v) for k, v in peer.client.get_registered_model(name).aliases.items()},
         {"champion": "2", "second": "1"})
    peer.client.delete_registered_model_alias(name, "champion")
    refused("INVALID_PARAMETER_VALUE", peer.client.get_model_version_by_alias, name, "champion")
    refused("INVALID_PARAMETER_VALUE", peer.client.set_registered_model_alias, name, "latest", "1")
    refused("INVALID_PARAMETER_VALUE", peer.client.set_registered_model_alias, name, "v1", "1")
    refused("RESOURCE_DOES_NOT_EXIST", peer.client.set_registered_model_alias, name, "late", "9")
    peer.client.delete_model_version(name, "1")
    refused("INVALID_PARAMETER_VALUE", peer.client.get_model_version_by_alias, name, "second")


def stages(peer):
    name, move = a_model(peer, 3), peer.client.transition_model_version_stage
    same(move(name, "1", "Production").current_stage, "Production")
    same(move(name, "2", "staging").current_stage, "Staging")
    latest = {v.current_stage: str(v.version) for v in peer.client.get_latest_versions(name)}
    same(latest, {"Production": "1", "Staging": "2", "None": "3"})
    move(name, "2", "Production", archive_existing_versions=True)
    same(peer.client.get_model_version(name, "1").current_stage, "Archived")
    same([str(v.version) for v in peer.client.get_latest_versions(name, ["Production"])], ["2"])
    refused("INVALID_PARAMETER_VALUE", move, name, "1", "Shop")


def copies(peer):
    source, target = a_model(peer, 1), peer.name("copy")
    copied = peer.client.copy_model_version(f"models:/{source}/1", target)
    same((copied.name, str(copied.version)), (target, "1"))
    same(copied.source, f"models:/{source}/1")
    same(peer.client.get_model_version_download_uri(target, "1"), "s3://bucket/0")


def fluent(peer):
    """What the functions without a client do."""
    name = peer.name("fluent")
    run = peer.client.create_run(peer.experiment("fluent")).info
    peer.client.log_text(run.run_id, "flavors: {}\nartifact_path: m\n", "m/MLmodel")
    version = mlflow.register_model(f"runs:/{run.run_id}/m", name, tags={"a": "b"})
    same((version.name, str(version.version), version.run_id), (name, "1", run.run_id))
    same([m.name for m in mlflow.search_registered_models(filter_string=f"name = '{name}'")],
         [name])
    same([v.tags for v in mlflow.search_model_versions(filter_string=f"name = '{name}'")],
         [{"a": "b"}])


CHECKS = {
    "registered models: made, tagged, described, renamed, deleted": models,
    "model versions: made, tagged, described, deleted": versions,
    "aliases: set, moved, deleted, refused": aliases,
    "stages: moved, archived, latest of each": stages,
    "copy_model_version": copies,
    "register_model and the fluent searches": fluent,
}
