"""How this machine reaches Debian's and Python's packages, for the builds that need the same.

A build gets it as secrets: files that are there while a command runs and that
leave no trace in the image. Nothing of it is part of an image's digest.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.shell import run

SUITE = "bookworm"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_CA_IN_BUILD = "/run/secrets/ca.crt"
_SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"

# apt's settings that are about reaching a mirror, not about this machine's packages.
_APT_SETTING = re.compile(r'Acquire::(https?|Check|Retries|ForceIPv)[\w:.-]* "')
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")


@dataclass(frozen=True)
class Registries:
    """The content of the files that a build is given; an empty one is left out.

    `sources`: Debian's mirrors (deb822). `apt`: settings of apt. `pip`: a pip.conf. None of them
    names `ca`, the bundle of certificates that this machine trusts, if any.
    """

    sources: str
    apt: str
    pip: str
    ca: Path | None

    @classmethod
    def of_this_machine(cls) -> Registries:
        """Read what apt and pip are configured with here."""
        sources = debian_sources(_targets())
        if not sources:  # apt tells nothing of lists that were never fetched, or were removed
            run(["apt-get", "update", "--quiet"])
            sources = debian_sources(_targets())
        return cls(
            sources=sources,
            apt=apt_settings(run(["apt-config", "dump"], check=False).stdout),
            pip=pip_settings(os.environ, _pip_files(os.environ)),
            ca=_ca_bundle(os.environ),
        )

    def secrets(self, folder: Path) -> dict[str, Path]:
        """Write the files into `folder`; return secret id → path, as the Containerfiles name them."""
        contents = {"debian.sources": self.sources, "apt.conf": self.apt, "pip.conf": self.pip}
        if self.ca is not None:
            contents["apt.conf"] += apt_trust(_CA_IN_BUILD)
            contents["pip.conf"] += f"cert = {_CA_IN_BUILD}\n"
        found: dict[str, Path] = {} if self.ca is None else {"ca.crt": self.ca}
        for name, content in contents.items():
            if content:
                found[name] = folder / name
                found[name].write_text(content)
        return found


def _targets() -> str:
    format_ = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    return run(["apt-get", "indextargets", "--format", format_, "Created-By: Packages"], check=False).stdout


def debian_sources(targets: str) -> str:
    """Return the sources of Debian's own suites, given lines of URI, suite and component, apart by `|`.

    Other suites and third-party repositories of this machine are left out: their
    keys are not in the image.
    """
    suites: dict[str, list[str]] = {}
    for line in targets.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 3 or "$(" in line:  # a flat repository has no component: apt leaves its name there
            continue
        uri, suite, component = fields
        official = suite == SUITE or suite in (f"{SUITE}-updates", f"{SUITE}-security")
        if component != "main" or not official:
            continue
        uri = _reachable(uri)
        if uri and suite not in suites.setdefault(uri, []):
            suites[uri].append(suite)
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {' '.join(names)}\nComponents: main\nSigned-By: {_KEYRING}\n"
        for uri, names in suites.items()
        if names
    )


def _reachable(uri: str) -> str:
    """Return the URI itself; for a file of mirrors the first of them on the web, or "" where none is."""
    scheme = "mirror+file:"
    if not uri.startswith(scheme):
        return uri
    file = Path("/" + uri.removeprefix(scheme).strip("/"))  # apt adds a slash to every URI
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return ""
    # Of a line, what follows the URI says for what the mirror is to be used.
    return next((line.split()[0] for line in lines if line.startswith(("http://", "https://"))), "")


def apt_settings(dump: str) -> str:
    """Return the settings for reaching mirrors out of an `apt-config dump`, without the bundle to trust."""
    kept = [
        line for line in dump.splitlines()
        if _APT_SETTING.match(line) and "::CaInfo" not in line
    ]  # fmt: skip
    return "\n".join([*kept, 'Acquire::Languages "none";', ""])


def apt_trust(bundle: str | Path) -> str:
    """Return the setting that has apt trust the certificates in `bundle`."""
    return f'Acquire::https::CaInfo "{bundle}";\n'


def pip_settings(environment: Mapping[str, str], files: list[Path]) -> str:
    """Return a pip.conf with how pip reaches its index, without the bundle to trust.

    The environment wins over `files`, a later file over an earlier one. Local folders
    (`find-links`) and caches are this machine's own and left out.
    """
    parser = configparser.RawConfigParser()
    parser.read(files)
    values: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            values |= {key: value for key, value in parser.items(section) if key in _PIP_KEYS}
    for key in _PIP_KEYS:
        # pip's option --timeout is called default-timeout in the environment too.
        for variable in (key, f"default-{key}"):
            if value := environment.get("PIP_" + variable.upper().replace("-", "_")):
                values[key] = value
    # A value of several lines goes on with indented ones.
    lines = [f"{key} = {value}".replace("\n", "\n  ") for key, value in sorted(values.items())]
    return "\n".join(["[global]", *lines, ""])


def _pip_files(environment: Mapping[str, str]) -> list[Path]:
    """Return where pip reads its configuration, the strongest last."""
    home = Path.home()
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    own = environment.get("PIP_CONFIG_FILE")
    return [*files, Path(own)] if own else files


def _ca_bundle(environment: Mapping[str, str]) -> Path | None:
    """Return the bundle that clients on this machine are told to trust, else the system's."""
    for variable in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        if (value := environment.get(variable)) and Path(value).is_file():
            return Path(value)
    return Path(_SYSTEM_CA) if Path(_SYSTEM_CA).is_file() else None
