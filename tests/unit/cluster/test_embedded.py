"""The pure parts of the embedded node, and those that work on any folder."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import ipaddress
import json
import re
import tarfile
from pathlib import Path

import pytest

from cluster.embedded import cni, dns, kernel, mounts, teardown, toolchain
from cluster.embedded.addresses import NODE_IP, POD_RANGE, SERVICE_RANGE, egress_link
from cluster.embedded.archive import write_program_image
from cluster.embedded.binaries import NODE_SOURCE, PROGRAMS, kubernetes_version
from cluster.embedded.cgroups import ControlGroup
from cluster.embedded.egress import uplink_rules
from cluster.embedded.layout import machine_name
from cluster.embedded.mounts import mount_points
from cluster.embedded.node import EmbeddedNode
from cluster.embedded.toolchain import parse_version
from cluster.progress import Progress
from cluster.settings import Settings


def test_the_links_are_the_programs_of_the_binary() -> None:
    table = (NODE_SOURCE / "main.go").read_text().split("var programs", 1)[1].split("\n}\n", 1)[0]
    assert sorted(re.findall(r'^\t"([a-z-]+)":', table, re.MULTILINE)) == sorted(PROGRAMS)


def test_the_version_of_kubernetes_is_that_of_its_staging_modules() -> None:
    text = (NODE_SOURCE / "go.mod").read_text()
    staging = "v0" + kubernetes_version(NODE_SOURCE / "go.mod").removeprefix("v1")
    assert set(re.findall(r"k8s\.io/\S+ => k8s\.io/\S+ (\S+)", text)) == {staging}


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8\n", (1, 26)), ("go1.9", (1, 9)), ("go1.27rc1", (1, 27)), ("devel +abc", None)],
)
def test_versions_of_go(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version


def test_a_build_asks_nothing_of_git_and_keeps_the_flags_that_its_caches_go_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str | Path]] = []
    monkeypatch.setattr(toolchain, "ensure_go", lambda _cache: Path("go"))
    monkeypatch.setattr(toolchain, "run", lambda command, **_options: called.append(command))
    toolchain.go_build(tmp_path, tmp_path, tmp_path / "program")
    assert {"-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false"} <= set(called[0])


def test_links_of_two_clusters_do_not_meet_each_other_or_the_node() -> None:
    used: set[str] = set()
    for slot in range(1001):
        outer, inner = egress_link(slot)
        network = ipaddress.ip_network(f"{outer}/30", strict=False)
        assert {outer, inner} == {str(host) for host in network.hosts()}
        used |= {outer, inner}
    assert len(used) == 2 * 1001
    for taken in (f"{NODE_IP}/24", POD_RANGE, SERVICE_RANGE):
        network = ipaddress.ip_network(taken, strict=False)
        assert not any(ipaddress.ip_address(address) in network for address in used)


def test_the_uplink_lets_replies_in_and_nothing_else() -> None:
    rules = uplink_rules("table", "spl-1", "100.65.0.6", closed_device="eth0")
    assert 'oifname "spl-1" ct state != { established, related } drop' in rules
    assert 'iifname "eth0" oifname != "spl-*" drop' in rules
    assert "eth0" not in uplink_rules("table", "spl-1", "100.65.0.6", closed_device=None)


def test_outside_names_are_forwarded_only_to_given_resolvers() -> None:
    assert "forward . 192.0.2.53 192.0.2.54\n" in dns.corefile(Path("/k"), ["192.0.2.53", "192.0.2.54"])
    assert "forward" not in dns.corefile(Path("/k"), [])


def test_resolvers_on_loopback_are_of_no_use_from_another_namespace(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("# comment\nsearch example\nnameserver 127.0.0.53\noptions edns0\n")
    real.write_text("nameserver 192.0.2.53\nnameserver ::1\nnameserver\nnameserver nonsense\n")
    assert dns.host_resolvers([stub, real]) == ["192.0.2.53"]
    assert dns.host_resolvers([stub, tmp_path / "missing"]) == []


def test_mounts_below_a_folder_come_deepest_first_and_unescaped() -> None:
    mountinfo = "\n".join(
        f"{number} 1 0:1 / {path} rw - tmpfs tmpfs rw"
        for number, path in enumerate(["/", "/state", "/state/a\\040b", "/state/a\\040b/c", "/statement"])
    )
    expected = [Path("/state/a b/c"), Path("/state/a b"), Path("/state")]
    assert mount_points(mountinfo, Path("/state")) == expected


def test_mounts_are_seen_through_a_link_to_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, link, mountinfo = tmp_path / "real", tmp_path / "link", tmp_path / "mountinfo"
    (real / "state" / "mount").mkdir(parents=True)
    link.symlink_to(real)
    mountinfo.write_text(f"1 1 0:1 / {real}/state/mount rw - tmpfs tmpfs rw\n")
    monkeypatch.setattr(mounts, "_MOUNTINFO", mountinfo)
    calls: list[list[str | Path]] = []
    monkeypatch.setattr(mounts, "run", calls.append)
    with pytest.raises(RuntimeError, match="still mounted below"):
        mounts.remove_folder(link / "state")
    mounts.release([link / "state"])
    assert calls == [["umount", "--lazy", real / "state" / "mount"]]
    mountinfo.write_text("")
    mounts.remove_folder(link / "state")
    assert list(real.iterdir()) == []


def test_network_records_of_one_cluster_are_forgotten(tmp_path: Path) -> None:
    results = tmp_path / "cni" / "results"
    results.mkdir(parents=True)
    for name in ("mine-c1-eth0", "cni-loopback-c1-lo", "other-c2-eth0", "cni-loopback-c2-lo"):
        (results / name).touch()
    cni.forget("mine", results)
    assert {file.name for file in results.iterdir()} == {"other-c2-eth0", "cni-loopback-c2-lo"}
    cni.forget("other", results)
    assert not results.parent.exists()


def test_kernel_settings_are_put_back_unless_changed_by_others(tmp_path: Path) -> None:
    proc, memory = tmp_path / "proc", tmp_path / "kernel.json"
    for name, before in (("vm/overcommit_memory", "0"), ("kernel/panic", "0"), ("kernel/panic_on_oops", "0")):
        (proc / name).parent.mkdir(parents=True, exist_ok=True)
        (proc / name).write_text(f"{before}\n")
    kernel.remember(memory, proc)
    for name, now in (("vm/overcommit_memory", "1"), ("kernel/panic", "10"), ("kernel/panic_on_oops", "2")):
        (proc / name).write_text(f"{now}\n")
    kernel.remember(memory, proc)  # the second start must not take the kubelet's values for the machine's
    kernel.restore(memory, proc)
    assert (proc / "vm/overcommit_memory").read_text() == "0"
    assert (proc / "kernel/panic").read_text() == "0"
    assert (proc / "kernel/panic_on_oops").read_text().strip() == "2"


def _group_tree(root: Path, *trees: str) -> None:
    for tree in trees:
        (root / tree).mkdir(parents=True)


def test_control_groups_of_version_1_lie_in_every_tree(tmp_path: Path) -> None:
    _group_tree(tmp_path, "cpu,cpuacct", "cpuset", "pids", "unified")
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "mine").mkdir()
    (tmp_path / "cpuset" / "mine" / "cpuset.cpus").write_text("\n")
    group = ControlGroup("mine", tmp_path)
    group.create()
    assert {folder.parent.name for folder in group.folders} == {"cpu,cpuacct", "cpuset", "pids", "unified"}
    assert (tmp_path / "cpuset" / "mine" / "cpuset.cpus").read_text() == "0-1\n"
    assert group.members_file == tmp_path / "pids" / "mine" / "system" / "cgroup.procs"


def test_control_groups_of_version_2_lie_in_the_one_tree(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    group = ControlGroup("mine", tmp_path)
    group.create()
    assert group.folders == [tmp_path / "mine"]
    assert (tmp_path / "cgroup.subtree_control").read_text().split() == ["+cpu", "+memory", "+pids"]
    (tmp_path / "mine" / "kubepods" / "pod1").mkdir(parents=True)
    (tmp_path / "mine" / "kubepods" / "pod1" / "cgroup.procs").write_text("7\n8\n0\n")
    assert group.pids() == group.pids("kubepods") == {7, 8}
    assert group.pids("system") == set()


def test_groups_and_namespaces_of_others_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Settings.from_environment({"CLUSTER": "node", "CLUSTER_NAME": "docker"})
    node = EmbeddedNode(dataclasses.replace(made, state=tmp_path / "state", run=tmp_path / "run" / "docker"))
    assert machine_name("docker") == "stockpipeline.docker", "not Docker's own group"
    assert machine_name("stockpipeline") == "stockpipeline"
    assert node._group.name == "/stockpipeline.docker"
    assert node._namespace.path.name == "stockpipeline.docker"

    ended: list[object] = []
    monkeypatch.setattr(teardown, "end_processes", lambda *words: ended.append(words))
    monkeypatch.setattr(teardown, "remove_traces", lambda *_words: None)
    node.down(Progress(io.StringIO()))
    assert ended == []
    (tmp_path / "state").mkdir()
    node.down(Progress(io.StringIO()))
    assert len(ended) == 1


def test_a_program_becomes_an_image_with_a_digest_that_fits(tmp_path: Path) -> None:
    program, archive = tmp_path / "program", tmp_path / "image.tar"
    program.write_bytes(b"\x7fELF".ljust(18, b"\0") + b"\x3e\x00" + b"code")
    write_program_image(program, "localhost/x:1", archive)
    with tarfile.open(archive) as tar:
        contents = {member.name: file.read() for member in tar if (file := tar.extractfile(member))}
    manifest = json.loads(contents["manifest.json"])[0]
    config = json.loads(contents[manifest["Config"]])
    assert manifest["RepoTags"] == ["localhost/x:1"]
    assert config["architecture"] == "amd64"
    assert config["config"]["Entrypoint"] == ["/program"]
    layer = contents[manifest["Layers"][0]]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]


def test_a_script_is_no_program_for_an_image(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho a shell script\n")
    with pytest.raises(ValueError, match=r"script: not an ELF program"):
        write_program_image(script, "localhost/x:1", tmp_path / "image.tar")
