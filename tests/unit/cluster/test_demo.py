"""What the demo with stand-ins puts on a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cluster import demo
from cluster.settings import Settings, SettingsError
from tests.stand_ins.kis import KisServer

REPO = Path(__file__).parents[3]


def test_the_example_speaks_to_the_stand_ins_with_their_credentials() -> None:
    made = demo.manifests("image:tag", {"kis.py": ""})
    services = {
        f"{one['metadata']['name']}.{one['metadata']['namespace']}.svc:{one['spec']['ports'][0]['port']}"
        for one in made
        if one["kind"] == "Service"
    }
    example = yaml.safe_load((REPO / demo.EXAMPLE).read_text())
    assert (example["metadata"]["namespace"], example["metadata"]["name"]) == demo.EXAMPLE_KEY
    kis, yahoo = (source[source["name"]] for source in example["spec"]["sources"])
    listed = yaml.safe_load((REPO / demo.NIGHTLY).read_text())["spec"]["universe"]["collect"]
    urls = [kis["restUrl"], kis["websocketUrl"], yahoo["chartUrl"], yahoo["websocketUrl"]]
    urls += [listed["directoryUrl"], listed["screenerUrl"]]
    assert {url.split("/")[2] for url in urls} == services
    (secret,) = (one for one in made if one["kind"] == "Secret")
    assert secret["metadata"]["name"] == kis["credentials"][0]["secretRef"]["name"]
    assert secret["metadata"]["namespace"] == example["metadata"]["namespace"]
    assert KisServer().secrets == {secret["stringData"]["appkey"]: secret["stringData"]["appsecret"]}


def test_only_the_demos_pipelines_reach_them_and_they_reach_nothing() -> None:
    (policy,) = (one for one in demo.manifests("image:tag", {}) if one["kind"] == "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy["spec"]
    ((peer,),) = (rule["from"] for rule in policy["spec"]["ingress"])
    pipelines = peer["podSelector"]["matchExpressions"][0]
    assert (pipelines["key"], pipelines["operator"]) == ("stockpipeline.dev/pipeline", "In")
    assert pipelines["values"] == ["kis-demo", "nightly"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "default"}


def test_the_source_is_chosen_by_name() -> None:
    assert Settings.from_environment({"CLUSTER": "node"}).source == "replay"
    assert Settings.from_environment({"CLUSTER": "node", "SOURCE": "kis-demo"}).source == "kis-demo"
    with pytest.raises(SettingsError, match="SOURCE='kis'"):
        Settings.from_environment({"CLUSTER": "node", "SOURCE": "kis"})
