"""Installing packages takes nothing away from the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import debian
from cluster.shell import CommandError


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH; what apt-get is called with goes to the file `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    _offer(folder, "dpkg-query", "exit 1")
    _offer(folder, "apt-get", f'echo "$*" >>{tmp_path}/calls')
    policy, lock = tmp_path / "policy-rc.d", tmp_path / "lock"
    services_stay_off = debian._services_stay_off
    monkeypatch.setattr(debian, "_services_stay_off", lambda: services_stay_off(policy, lock))
    return folder


def _offer(folder: Path, name: str, script: str = "") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_container_programs_from_elsewhere_will_do(programs: Path) -> None:
    for name in ("containerd", "runc"):
        _offer(programs, name)
    assert debian.missing(["containerd", "runc", "socat"]) == ["containerd", "runc", "socat"]
    _offer(programs, "ctr")
    assert debian.missing(["containerd", "runc", "socat"]) == ["socat"]


def test_apt_may_remove_nothing_and_waits_for_its_lock(programs: Path, tmp_path: Path) -> None:
    debian.install(["socat"])
    update, install = (tmp_path / "calls").read_text().splitlines()
    assert "--no-remove" in install.split()
    assert "DPkg::Lock::Timeout=300" in update
    assert "DPkg::Lock::Timeout=300" in install


def test_a_refusal_of_apt_is_told_with_its_reason(programs: Path) -> None:
    _offer(programs, "apt-get", 'case "$*" in *install*) echo "Packages need to be removed"; exit 100;; esac')
    with pytest.raises(CommandError, match=r"apt refuses(.|\n)*Packages need to be removed"):
        debian.install(["containerd"])


def test_a_left_behind_policy_is_replaced_and_a_foreign_one_kept(tmp_path: Path) -> None:
    policy, lock = tmp_path / "policy-rc.d", tmp_path / "lock"
    with debian._services_stay_off(policy, lock):
        left_behind = policy.read_text()
        assert "exit 101" in left_behind
    assert not policy.exists()

    policy.write_text(left_behind)
    with debian._services_stay_off(policy, lock):
        assert policy.exists()
    assert not policy.exists()

    policy.write_text("#!/bin/sh\nexit 0\n")
    with debian._services_stay_off(policy, lock):
        assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
