"""What botocore raises, told as our errors: the one place where AWS's words are judged.

In: an exception of botocore, the operation and the endpoint. Out: a `ForensicsError` that says
what failed, why, and what to do next. It must never hide an exception that it does not know: a
wrong parameter is our bug and passes through.
"""

from __future__ import annotations

import re
from typing import Any, Final

from forensics.aws.actions import Operation
from forensics.errors import (
    ForensicsError,
    NotFoundError,
    RefusedError,
    StateConflictError,
    UnreachableError,
    UnsupportedError,
    UsageError,
)

_SIGN_IN: Final = (
    "sign in (`aws sso login`), name another `--profile`, or set AWS_PROFILE or AWS_ACCESS_KEY_ID "
    "and AWS_SECRET_ACCESS_KEY"
)
_NO_CREDENTIALS: Final = frozenset(
    (
        "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
        "MetadataRetrievalError", "NoAuthTokenError", "TokenRetrievalError", "SSOError",
        "SSOTokenLoadError", "UnauthorizedSSOTokenError", "InfiniteLoopConfigError",
        "InvalidConfigError", "ConfigParseError",
    )
)  # fmt: skip
_NO_REGION: Final = frozenset(("NoRegionError", "InvalidRegionError"))
_OUR_BUGS: Final = frozenset(("ParamValidationError", "OperationNotPageableError"))

_BAD_CREDENTIALS: Final = frozenset(
    (
        "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature",
        "InvalidClientTokenId", "InvalidAccessKeyId", "MissingAuthenticationToken", "OptInRequired",
        "RequestExpired", "SignatureDoesNotMatch", "UnrecognizedClientException",
    )
)  # fmt: skip
_NO_RIGHT: Final = frozenset(
    (
        "UnauthorizedOperation",
        "AccessDenied",
        "AccessDeniedException",
        "Client.UnauthorizedOperation",
    )
)
_LATER: Final = frozenset(
    (
        "InternalError", "InternalFailure", "RequestLimitExceeded", "RequestThrottled",
        "RequestThrottledException", "ResourceContention", "ResourceContentionFault",
        "ServiceUnavailable", "SlowDown", "SnapshotCreationPerVolumeRateExceeded",
        "ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded", "Throttling",
        "ThrottlingException", "ThrottledException", "TooManyRequestsException", "Unavailable",
        "InsufficientInstanceCapacity", "ScalingActivityInProgress",
        "ScalingActivityInProgressFault",
    )
)  # fmt: skip
_NO_SUCH_CALL: Final = frozenset(
    (
        "InvalidAction", "NotImplemented", "UnknownOperationException", "Unsupported",
        "UnsupportedOperation", "UnsupportedOperationException",
        "UnsupportedInstanceAttribute", "UnsupportedHostConfiguration",
    )
)  # fmt: skip
_WRONG_STATE: Final = frozenset(
    (
        "IncorrectInstanceState", "IncorrectState", "InvalidGroup.Duplicate",
        "InvalidPermission.Duplicate",
        "OperationNotPermitted", "ResourceInUse", "ResourceInUseFault", "ValidationError",
    )
)  # fmt: skip
_NOT_FOUND: Final = re.compile(
    r"\.NotFound$|^TargetGroupNotFound|^InvalidTarget|NotFoundException$"
)
_NOT_FOUND_WORDS: Final = re.compile(r"\bnot found\b|\bdoes not exist\b", re.IGNORECASE)
_DENIED_ACTION: Final = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z0-9]+)")
_ENCODED: Final = re.compile(r"\s*Encoded authorization failure message:.*", re.DOTALL)

# By the answer's code: whose turn it is, and what a person does next.
_BY_CODE: Final[tuple[tuple[frozenset[str], type[ForensicsError], str], ...]] = (
    (_BAD_CREDENTIALS, UsageError, _SIGN_IN),
    (_NO_SUCH_CALL, UnsupportedError, "the rest can go on without it"),
    (_LATER, UnreachableError, "AWS asks to come back later: try again"),
    (_WRONG_STATE, StateConflictError, "look again at what state it is in"),
)
_HTTP_NOT_IMPLEMENTED: Final = 501
_HTTP_SERVER_ERROR: Final = 500


def is_botocore_error(error: Exception) -> bool:
    """Whether it is one that `translate` knows how to tell."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return (
        isinstance(error, BotoCoreError | ClientError | ResponseParserError)
        and type(error).__name__ not in _OUR_BUGS
    )


def translate(error: Exception, operation: Operation, endpoint: str) -> ForensicsError:
    """The error as ours; `endpoint` is a custom endpoint's URL, empty for AWS itself."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return _from_answer(response, operation, endpoint)
    name, words = type(error).__name__, str(error)
    what = _what(operation)
    if name in _NO_CREDENTIALS:
        return UsageError(what, why=f"no usable AWS credentials ({words})", next_step=_SIGN_IN)
    if name in _NO_REGION:
        return missing_region(words)
    if name == "ResponseParserError":
        return _unreadable(what, endpoint)
    return UnreachableError(
        what,
        why=words,
        next_step=f"check that {endpoint} answers (AWS_ENDPOINT_URL)"
        if endpoint
        else "check network, proxy and region, then try again",
    )


def missing_region(why: str) -> UsageError:
    """No region is known, or it is none of AWS's."""
    return UsageError(
        "can't ask AWS", why=why, next_step="give `--region`, or set AWS_REGION, e.g. eu-west-1"
    )


def missing_profile(why: str) -> UsageError:
    """The named profile is in no configuration file."""
    return UsageError(
        "can't ask AWS", why=why, next_step="`aws configure list-profiles` lists what there is"
    )


def _from_answer(response: dict[str, Any], operation: Operation, endpoint: str) -> ForensicsError:
    """What an error answer means, by its code, then by its HTTP status."""
    code = str(response["Error"].get("Code", ""))
    message = str(response["Error"].get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    what, why = _what(operation), f"{code}: {message}"
    if code in _NO_RIGHT:
        return _refused(operation, message)
    if _NOT_FOUND.search(code) or (code == "ValidationError" and _NOT_FOUND_WORDS.search(message)):
        return NotFoundError(what, why=why, next_step="check the id, the account and the region")
    for codes, kind, next_step in _BY_CODE:
        if code in codes:
            return kind(what, why=why, next_step=next_step)
    if status >= _HTTP_SERVER_ERROR:
        return _server_error(what, why, status, endpoint)
    return RefusedError(what, why=why, next_step="AWS did not accept the request as it stands")


def _server_error(what: str, why: str, status: int, endpoint: str) -> ForensicsError:
    """AWS failed inside, or a stand-in for AWS lacks the call."""
    if status == _HTTP_NOT_IMPLEMENTED:
        return UnsupportedError(what, why=why, next_step="the rest can go on without it")
    if endpoint:
        return _unreadable(what, endpoint)
    return UnreachableError(what, why=why, next_step="AWS failed inside: try again")


def _refused(operation: Operation, message: str) -> RefusedError:
    """Missing rights, with the action that a policy must allow."""
    named = _DENIED_ACTION.search(message)
    action = named[1] if named else " or ".join(operation.actions) or operation.api_name
    return RefusedError(
        _what(operation),
        why=f"the caller may not {action} ({_ENCODED.sub('', message).strip()})",
        next_step=f"allow {action}: terraform/modules/quarantine holds the whole policy",
    )


def _unreadable(what: str, endpoint: str) -> ForensicsError:
    """An answer that is none of AWS's: a call that a stand-in lacks, or a proxy's page."""
    if endpoint:
        return UnsupportedError(
            what,
            why=f"{endpoint} gave no AWS answer to it, so it probably lacks the call",
            next_step="the rest can go on without it; its own log says more",
        )
    return UnreachableError(
        what, why="the answer is none of AWS's", next_step="check for a proxy in between"
    )


def _what(operation: Operation) -> str:
    return f"{operation.service} {operation.api_name} failed"
