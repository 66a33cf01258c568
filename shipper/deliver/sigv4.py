"""Requests signed for Amazon OpenSearch, by botocore: the extra `sigv4`.

In: a region, a service, and a request with its exact body. Out: the headers of its signature.
Credentials come from botocore's own chain (environment, profile, container, IMDS), which renews
them before they end. It must never be imported by an output that does not sign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from shipper.deliver.credentials import Request
from shipper.errors import ConfigError
from shipper.ports import NoAnswerError

if TYPE_CHECKING:
    from botocore.credentials import Credentials as AwsCredentials
    from botocore.credentials import ReadOnlyCredentials

INSTALL_LINE: Final = "pip install 'afterimage-forensics[sigv4]'"
_HASH_HEADER: Final = "X-Amz-Content-SHA256"


class SigV4Auth:
    """One transport's signer."""

    def __init__(self, *, region: str, service: str) -> None:
        """ConfigError: botocore is not installed, or no region is named."""
        try:
            import botocore.auth  # noqa: F401 - that it is there is told at the start
        except ImportError as error:
            raise ConfigError(
                'auth = "sigv4" can\'t be used',
                why="it needs the extra sigv4, which is not installed",
                next_step=INSTALL_LINE,
            ) from error
        if not region:
            raise ConfigError(
                'auth = "sigv4" can\'t be used',
                why="a signature names the region of the domain, and none is configured",
                next_step='set region in [output.opensearch], e.g. region = "eu-central-1"',
            )
        self._region = region
        self._service = service
        self._credentials: AwsCredentials | None = None

    def headers(self, request: Request) -> Mapping[str, str]:
        """Authorization, date, token and the body's hash, which serverless collections want."""
        from botocore.auth import SigV4Auth as Signer
        from botocore.awsrequest import AWSRequest

        digest = hashlib.sha256()
        for piece in request.body:
            digest.update(piece)
        signed = AWSRequest(
            method=request.method,
            url=request.url,
            headers={**request.headers, _HASH_HEADER: digest.hexdigest()},
        )
        Signer(self._frozen(), self._service, self._region).add_auth(signed)
        known = {name.lower() for name in request.headers}
        return {
            name: str(value) for name, value in signed.headers.items() if name.lower() not in known
        }

    def forget(self) -> None:
        """Go through the chain again: a file of credentials may have been replaced."""
        self._credentials = None

    def _frozen(self) -> ReadOnlyCredentials:
        """Key, secret and token that fit together, renewed where they are about to end."""
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session

        try:
            if self._credentials is None:
                self._credentials = Session().get_credentials()
            if self._credentials is not None:
                return self._credentials.get_frozen_credentials()
        except (BotoCoreError, OSError, ValueError, RuntimeError) as error:
            # RuntimeError: what came instead of ended keys had ended, too
            raise NoAnswerError(f"AWS credentials can't be had: {error}") from error
        raise NoAnswerError("no AWS credentials: give the instance a role, or set AWS_PROFILE")
