"""Whether a certificate is that of a host (RFC 9525)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["matches", "matches_pattern"]


def matches(certificate: Certificate, host: str) -> bool:
    """Whether the alternative names of ``certificate`` include the host.

    Args:
        certificate: what the server has shown. Its common name does not count (RFC 9525, 2).
        host: a name, or an IP address; a name never matches an address, or the reverse.
    """
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    names = extension.value
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        wanted = host.encode("idna").decode()
        patterns = names.get_values_for_type(x509.DNSName)
        return any(matches_pattern(pattern, wanted) for pattern in patterns)
    return address in names.get_values_for_type(x509.IPAddress)


def matches_pattern(pattern: str, host: str) -> bool:
    """Whether a name of a certificate means this host.

    Args:
        pattern: a name; its first label may be ``*``, which stands for one label.
        host: in ASCII.
    """
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == host and bool(host)
    label, dot, rest = host.partition(".")
    return bool(label and dot) and "." in rest and rest == pattern[2:]
