"""Authorities and certificates for brokers and clients of a test, made on the spot."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

_HOUR = timedelta(hours=1)


class Authority:
    """Signs certificates, and keeps everything as PEM files.

    Attributes:
        file: Its own certificate.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._authority = trustme.CA(organization_name=name)
        self.file = directory / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def issue(
        self, name: str, *hosts: str, valid: timedelta = _HOUR, password: bytes = b""
    ) -> tuple[Path, Path]:
        """Sign a certificate for a broker or a client.

        Args:
            name: Whom it is for.
            hosts: Host names and addresses that it is valid for.
            valid: How long from now; it began two hours ago.
            password: Of the key; none without.

        Returns:
            Files of the certificate and of its key, which is PKCS 8: Java takes no other.
        """
        now = datetime.now(timezone.utc)
        made = self._authority.issue_cert(
            *hosts, common_name=name, not_before=now - 2 * _HOUR, not_after=now + valid
        )
        certificate, secret = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        made.cert_chain_pems[0].write_to_path(certificate)
        key = serialization.load_pem_private_key(made.private_key_pem.bytes(), None)
        hidden = serialization.BestAvailableEncryption(password) if password else None
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                hidden or serialization.NoEncryption(),
            )
        )
        return certificate, secret
