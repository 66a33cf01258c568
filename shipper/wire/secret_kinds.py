"""The kinds of secrets that have a form of their own, each with where that form is written down.

In: nothing. Out: patterns by name, what has to stand wherever one matches, and what may be its
first part where a line is cut. They must be linear: they see whole records, hostile ones too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A kind of secret."""

    pattern: re.Pattern[bytes]
    """Where it has groups, only those are overwritten."""
    literals: tuple[bytes, ...]
    """One of them stands wherever it matches, in lower case; none: no telling."""
    is_windowed: bool = False
    opening: re.Pattern[bytes] | None = None
    r"""What may be the first part of it, up to the end of a text that goes on elsewhere (`\Z`).

    None: the pattern needs no end. Where it has groups, only those are overwritten."""


_OPENED: Final = rb"""(?:\\?["'])?\s{0,2}[:=]\s{0,2}"""
"""Between a name and its value: quotes that may be escaped, `:` or `=`."""
# a value in quotes, which may have spaces, or one without
_VALUE: Final = (
    rb"""(?:\\?["']((?:[^"'\\\n]|\\[^"'n\n]){1,512}+)"""
    rb"""|((?:[^\s"'&,;\\]|\\u[0-9a-fA-F]{4}|\\\\){1,512}+))"""
)


def _secret(pattern: bytes, *literals: bytes, opening: bytes = b"") -> Secret:
    return Secret(
        pattern=re.compile(pattern, re.MULTILINE),
        literals=literals,
        opening=re.compile(b"(?:%b)\\Z" % opening) if opening else None,
    )


BUILTIN: Final = {
    # AWS IAM User Guide, "IAM identifiers": unique ID prefixes; 20 characters
    "aws-access-key": _secret(
        rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        b"akia",
        b"asia",
        opening=rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{1,16}+",
    ),
    # the names in AWS's credentials file and environment; 40 characters, session tokens longer
    "aws-secret-key": _secret(
        rb"(?i:secret[_-]?access[_-]?key|secretkey|session[_-]?token)"
        + _OPENED
        + rb"""(?:\\?["'])?([A-Za-z0-9/+=]{40,4096}+)""",
        b"secret",
        b"session",
        opening=rb"(?i:secret[_-]?access[_-]?key|secretkey|session[_-]?token)"
        + _OPENED
        + rb"""(?:\\?["'])?([A-Za-z0-9/+=]{1,4096}+)""",
    ),
    # RFC 6750 §2.1 (b64token), RFC 7617 behind its header's name
    "bearer-token": _secret(
        rb"\b(?i:bearer) {1,4}([A-Za-z0-9._~+/-]{8,4096}+=*+)"
        rb"""|(?i:authorization(?:\\?["'])?\s{0,2}[:=]\s{0,2}(?:\\?["'])?basic) {1,4}"""
        rb"([A-Za-z0-9+/]{4,4096}+=*+)",
        b"bearer",
        b"authorization",
        opening=rb"\b(?i:bearer) {1,4}([A-Za-z0-9._~+/-]{1,4096}+=*+)"
        rb"""|(?i:authorization(?:\\?["'])?\s{0,2}[:=]\s{0,2}(?:\\?["'])?basic) {1,4}"""
        rb"([A-Za-z0-9+/]{1,4096}+=*+)",
    ),
    # RFC 7519 §3: header and payload are JSON objects, so each begins with eyJ in base64url
    "jwt": _secret(
        rb"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,8192}+\.eyJ[A-Za-z0-9_-]{2,8192}+\.[A-Za-z0-9_-]*+",
        b"eyj",
        opening=rb"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{1,8192}+(?:\.[A-Za-z0-9_-]{0,8192}+){0,2}",
    ),
    # RFC 7468 §2 and OpenSSH's, PGP's armour (RFC 4880 §6.2); cut off, it goes on to the end
    "private-key": _secret(
        rb"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        rb"((?:[^-]|-(?!----END )){1,32768}+)",
        b"-----begin ",
    ),
    # GitHub, "Behind GitHub's new authentication token formats"; fine-grained tokens
    "github-token": _secret(
        rb"(?<![A-Za-z0-9_])(?:gh[oprsu]_[A-Za-z0-9]{36,251}+|github_pat_[A-Za-z0-9_]{22,244}+)",
        b"gho_",
        b"ghp_",
        b"ghr_",
        b"ghs_",
        b"ghu_",
        b"github_pat_",
        opening=rb"(?<![A-Za-z0-9_])(?:gh[oprsu]|github_pat)_[A-Za-z0-9_]{1,251}+",
    ),
    # GitLab docs, "Token prefixes"
    "gitlab-token": _secret(
        rb"(?<![A-Za-z0-9_-])gl[a-z]{2,6}-[A-Za-z0-9_-]{20,300}+",
        b"gl",
        opening=rb"(?<![A-Za-z0-9_-])gl[a-z]{2,6}-[A-Za-z0-9_-]{1,300}+",
    ),
    # Slack API docs, "Token types"; incoming webhooks are secrets in their path
    "slack-token": _secret(
        rb"(?<![A-Za-z0-9])xox[a-z](?:\.[a-z]+)?-[A-Za-z0-9-]{10,300}+"
        rb"|hooks\.slack\.com/services/([A-Za-z0-9/]{10,100}+)",
        b"xox",
        b"hooks.slack.com",
        opening=rb"(?<![A-Za-z0-9])xox[a-z](?:\.[a-z]{1,16})?-[A-Za-z0-9-]{1,300}+"
        rb"|hooks\.slack\.com/services/([A-Za-z0-9/]{1,100}+)",
    ),
    # Google Cloud docs, "API keys": AIza and 35 characters
    "google-api-key": _secret(
        rb"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
        b"aiza",
        opening=rb"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{1,35}+",
    ),
    # Stripe docs, "API keys": secret and restricted keys
    "stripe-key": _secret(
        rb"(?<![A-Za-z0-9])[rs]k_(?:live|test)_[A-Za-z0-9]{16,247}+",
        b"k_live_",
        b"k_test_",
        opening=rb"(?<![A-Za-z0-9])[rs]k_(?:live|test)_[A-Za-z0-9]{1,247}+",
    ),
    # RFC 3986 §3.2.1: the password of user:password@host
    "url-credentials": _secret(
        rb"""://[^\s/:@"'<>\\?#]{0,128}+:([^\s/@"'<>\\]{1,256}+)@""",
        b"://",
        opening=rb"""://[^\s/:@"'<>\\?#]{0,128}+:([^\s/@"'<>\\]{1,256}+)""",
    ),
    # the names that configurations, forms and connection strings use
    "password": _secret(
        rb"(?i:passw(?:or)?d|passwd|passphrase|\bpwd|client[_-]?secret|api[_-]?key"
        rb"|access[_-]?token|refresh[_-]?token)" + _OPENED + _VALUE,
        b"pass",
        b"pwd",
        b"secret",
        b"api",
        b"token",
    ),
}
"""By name; each with where its form is written down."""
