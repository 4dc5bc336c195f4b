"""The cluster's certificates: an authority of its own and what it signs, made with the openssl program.

A file that exists is kept, so bringing the cluster up again changes nothing; a certificate whose subject
or names are asked for differently is signed anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.shell import run

_DAYS = "3650"  # a local cluster is thrown away long before
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """The PEM files of one certificate and its private key."""

    certificate: Path
    key: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> Certificate:
        """Return the files of the certificate `name` in `folder`, made or not."""
        return cls(folder / f"{name}.crt", folder / f"{name}.key")


@dataclass(frozen=True)
class Authority:
    """A certificate authority that keeps its files in `folder`; make it with `Authority.open`."""

    folder: Path
    name: str

    @property
    def own(self) -> Certificate:
        """The authority's own certificate, which others are told to trust."""
        return Certificate.of(self.folder, self.name)

    @classmethod
    def open(cls, folder: Path, name: str) -> Authority:
        """Return the authority `name` of `folder`, made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = cls(folder, name)
        usage = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature,keyCertSign"]
        _make(authority.own, ["-subj", f"/CN={name}", *_extensions(usage)])
        return authority

    def issue(
        self, name: str, user: str, groups: Sequence[str] = (), addresses: Sequence[str] = ()
    ) -> Certificate:
        """Return the certificate `name` for `user` (CN) of `groups` (O), signed by this authority.

        It serves to call others; with `addresses` (host names and IP addresses) to be called as well.
        """
        usage = ["clientAuth"] + (["serverAuth"] if addresses else [])
        extensions = [
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            f"extendedKeyUsage={','.join(usage)}",
        ]
        if addresses:
            names = [f"{'IP' if _is_ip(address) else 'DNS'}:{address}" for address in addresses]
            extensions.append(f"subjectAltName={','.join(names)}")
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        signed_by = ["-CA", str(self.own.certificate), "-CAkey", str(self.own.key)]
        issued = Certificate.of(self.folder, name)
        signer = hashlib.sha256(self.own.certificate.read_bytes()).hexdigest()
        _make(issued, [*signed_by, "-subj", subject, *_extensions(extensions)], signer)
        return issued


def token_key(folder: Path) -> Certificate:
    """Return the key pair that signs service accounts' tokens: private in `key`, public in `certificate`."""
    pair = Certificate(folder / "service-account.pub", folder / "service-account.key")
    if not (pair.certificate.exists() and pair.key.exists()):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        private = run(
            ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        ).stdout
        public = run(["openssl", "pkey", "-pubout"], input=private).stdout
        _write(pair.key, private)
        _write(pair.certificate, public)
    return pair


def kubeconfig(server: str, authority: Authority, user: Certificate) -> str:
    """Return a kubeconfig (JSON, which is YAML) that holds all it needs and refers to no other file."""
    cluster = {"server": server, "certificate-authority-data": _encoded(authority.own.certificate)}
    credentials = {
        "client-certificate-data": _encoded(user.certificate),
        "client-key-data": _encoded(user.key),
    }
    name = "stockpipeline"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(content, indent=2) + "\n"


def _make(files: Certificate, request: list[str], signer: str = "") -> None:
    """Have openssl make the certificate unless one for the same request and signer is there."""
    asked = files.certificate.with_suffix(".request")
    wanted = json.dumps([*request, signer])
    if files.key.exists() and files.certificate.exists() and asked.exists() and asked.read_text() == wanted:
        return
    asked.unlink(missing_ok=True)  # a crash from here on leaves no request behind, so it is made again
    new_key, new_certificate = files.key.with_suffix(".newkey"), files.certificate.with_suffix(".newcrt")
    outputs = ["-keyout", str(new_key), "-out", str(new_certificate)]
    # An empty configuration file: what Debian's adds by itself is not wanted twice.
    run(["openssl", "req", "-x509", *_CURVE, "-config", "/dev/null", "-days", _DAYS, *outputs, *request])
    new_key.chmod(0o600)
    new_key.replace(files.key)
    new_certificate.replace(files.certificate)
    asked.write_text(wanted)


def _extensions(lines: Sequence[str]) -> list[str]:
    return [word for line in lines for word in ("-addext", line)]


def _is_ip(address: str) -> bool:
    return address.replace(".", "").isdigit() or ":" in address


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _write(path: Path, content: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=0o600)
    temporary.write_text(content)
    temporary.replace(path)
