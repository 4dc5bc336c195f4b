"""What images are made from, and how a build is told to reach the package registries."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cluster import imagebuild
from cluster.imagebuild import __main__ as command
from cluster.imagebuild import recipes
from cluster.imagebuild.recipes import NAMES, Recipe, chosen
from cluster.imagebuild.registries import Registries, apt_settings, debian_sources, pip_settings
from cluster.progress import Progress
from cluster.settings import REPO, Settings

REPOSITORY = "localhost/stockpipeline"


def repository_with(root: Path, **files: str) -> Path:
    for name, text in {"images/redis/Containerfile": "FROM x", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_every_image_has_its_folder_and_inputs() -> None:
    for lane in recipes.LANES:
        for recipe in lane:
            assert (REPO / recipe.containerfile).is_file()
            assert [path for path in recipe.inputs if not (REPO / path).exists()] == []


def test_the_digest_depends_on_everything_that_enters_the_image(tmp_path: Path) -> None:
    recipe = Recipe("redis", ("code",))
    repo = repository_with(tmp_path, **{"code/a.py": "1"})

    def digest(base: str = "base", repository: str = REPOSITORY) -> str:
        return recipe.digest(repo, base, repository)

    first = digest()
    assert digest() == first
    assert digest(base="another") != first
    assert digest(repository="registry.example/stock") != first
    (repo / "code/a.py").write_text("2")
    changed = digest()
    assert changed != first
    (repo / "images/redis/Containerfile").write_text("FROM y")
    assert digest() != changed


def test_what_tools_leave_in_source_folders_does_not_change_the_digest(tmp_path: Path) -> None:
    recipe = Recipe("redis", ("code",))
    repo = repository_with(tmp_path, **{"code/a.py": "1"})
    before = recipe.digest(repo, "base", REPOSITORY)
    repository_with(tmp_path, **{"code/__pycache__/a.pyc": "x", "code/x.egg-info/PKG-INFO": "x"})
    assert recipe.digest(repo, "base", REPOSITORY) == before


def test_some_images_can_be_chosen_and_an_unknown_one_is_named() -> None:
    assert [[recipe.name for recipe in lane] for lane in chosen(["redis", "operator"])] == [
        ["operator"],
        ["redis"],
    ]
    assert sum(len(lane) for lane in chosen(NAMES)) == len(NAMES)
    assert set(NAMES) - set(recipes.USUAL) == {"airflow", "spark"}
    with pytest.raises(ValueError, match="no image is called grafana; there are services"):
        chosen(["redis", "grafana"])


def test_images_that_are_there_are_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.from_environment({"XDG_CACHE_HOME": str(tmp_path), "CLUSTER": "node"})
    monkeypatch.setenv("PATH", str(tmp_path))  # nothing can be run: no buildah, no mmdebstrap
    base = imagebuild.own_base.digest(settings.repo)
    digest = chosen(["redis"])[0][0].digest(settings.repo, base, REPOSITORY)
    archive = settings.cache / "images/redis" / digest
    archive.parent.mkdir(parents=True)
    archive.touch()

    (image,) = imagebuild.build_all(settings, Progress(io.StringIO()), ["redis"])

    assert image.tar == archive
    assert image.reference == f"{REPOSITORY}/redis:{digest[:12]}"


def test_the_command_installs_what_it_builds_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[object] = []
    monkeypatch.setattr(command.prerequisites, "install", lambda packages, _progress: done.append(packages))
    monkeypatch.setattr(command, "build_all", lambda *_words, **_options: done.append("built") or [])
    monkeypatch.setattr("sys.argv", ["imagebuild", "redis"])
    assert command.main() == 0
    assert done == [imagebuild.DEBIAN_PACKAGES, "built"]


def test_only_debians_own_suites_go_into_a_build() -> None:
    found = debian_sources(
        "http://mirror.example/debian/|bookworm|main\n"
        "http://mirror.example/debian/|bookworm|main\n"
        "http://mirror.example/debian/|bookworm|contrib\n"
        "http://mirror.example/debian/|bookworm-updates|main\n"
        "http://mirror.example/security/|bookworm-security|main\n"
        "http://vendor.example/apt|stable|main\n"
        "http://mirror.example/debian/|trixie|main\n"
        "http://flat.example/apt|./|$(COMPONENT)\n"
        "http://flat.example/apt\n"
        "\n"
    )
    assert [line for line in found.splitlines() if line.startswith(("URIs", "Suites"))] == [
        "URIs: http://mirror.example/debian/",
        "Suites: bookworm bookworm-updates",
        "URIs: http://mirror.example/security/",
        "Suites: bookworm-security",
    ]


def test_a_file_of_mirrors_stands_for_its_first_one_on_the_web(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text(
        "# near\nfile:/srv/debian\nhttps://near.example/debian\tpriority:1\nhttp://far.example/\n"
    )
    found = debian_sources(f"mirror+file:{mirrors}/|bookworm|main\n")
    assert "URIs: https://near.example/debian\n" in found
    assert debian_sources(f"mirror+file:{tmp_path}/missing|bookworm|main\n") == ""


def test_apt_is_updated_once_where_it_lists_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, program = tmp_path / "calls", tmp_path / "apt-get"
    program.write_text(
        f'#!/bin/sh\n[ "$1" != update ] || {{ echo update >>{calls}; exit; }}\n'
        f'[ ! -e {calls} ] || echo "http://mirror.example/debian/|bookworm|main"\n'
    )
    program.chmod(0o755)
    (tmp_path / "apt-config").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "URIs: http://mirror.example/debian/" in Registries.of_this_machine().sources
    Registries.of_this_machine()
    assert calls.read_text() == "update\n"


def test_only_apts_settings_for_reaching_mirrors_go_into_a_build() -> None:
    dump = (
        'Acquire::http::Proxy "http://proxy.example:3142";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::https::CaInfo "/somewhere/on/the/host.pem";\n'
        'Acquire::IndexTargets::deb::DEP-11 "";\n'
        'DPkg::Post-Invoke:: "rm -rf /somewhere";\n'
    )
    assert apt_settings(dump).splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3142";',
        'Acquire::Check-Valid-Until "false";',
        'Acquire::Languages "none";',
    ]


def test_pip_is_told_the_index_and_not_this_machines_folders(tmp_path: Path) -> None:
    system, user = tmp_path / "system.conf", tmp_path / "user.conf"
    system.write_text("[global]\nindex-url = https://one.example\ncache-dir = /cache\ncert = /host.pem\n")
    user.write_text(
        "[install]\ntrusted-host = a.example\n  b.example\n[global]\nindex-url = https://two.example\n"
    )
    environment = {"PIP_DEFAULT_TIMEOUT": "180", "PIP_FIND_LINKS": "/wheels", "PIP_RETRIES": "9"}

    assert pip_settings(environment, [system, user, tmp_path / "missing"]).splitlines() == [
        "[global]",
        "index-url = https://two.example",
        "retries = 9",
        "timeout = 180",
        "trusted-host = a.example",
        "  b.example",
    ]


def test_secrets_name_the_bundle_where_the_build_sees_it(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    registries = Registries(sources="Types: deb\n", apt="", pip="[global]\n", ca=bundle)
    secrets = registries.secrets(tmp_path)
    assert secrets["ca.crt"] == bundle
    assert secrets["apt.conf"].read_text() == 'Acquire::https::CaInfo "/run/secrets/ca.crt";\n'
    assert secrets["pip.conf"].read_text() == "[global]\ncert = /run/secrets/ca.crt\n"

    without = Registries(sources="", apt="", pip="[global]\n", ca=None).secrets(tmp_path)
    assert list(without) == ["pip.conf"]
