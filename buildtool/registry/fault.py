"""Faults: why a request to a registry gave nothing, and the errors that people see of them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from buildtool.diag import BuildError
from buildtool.proxy import cause

if TYPE_CHECKING:
    import urllib3

_LONGEST_REASON = 300
_LONGEST_WAIT = 30.0
_STATUS = {
    401: "asks for other credentials",
    403: "denies access",
    404: "does not have it",
    405: "does not allow it",
    413: "finds it too large",
    416: "wants another part of it",
    429: "asks for fewer requests",
}


class Fault(Exception):
    """Why a request failed.

    `status` is the registry's answer, 0 without one.  `again`: another try, after `wait`
    seconds, may go well.  `down`: nobody was there.
    """

    def __init__(
        self, why: str, *, status: int = 0, again: bool = False, wait: float = 0.0, down: bool = False
    ) -> None:
        super().__init__(why)
        self.status = status
        self.again = again
        self.wait = wait
        self.down = down


def refusal(host: str, status: int, body: bytes, wait: float) -> Fault:
    """The fault of an answer with another status than asked for."""
    said = reason_of(body)
    meaning = _STATUS.get(status, "is not well" if status >= 500 else "refuses it")
    why = f"{host} {meaning} (status {status})" + (f": {said}" if said else "")
    return Fault(why, status=status, again=status in (408, 425, 429) or status >= 500, wait=wait)


def reason_of(body: bytes) -> str:
    """The messages of an error document (distribution-spec, "Error Codes"), on one line; empty for others."""
    try:
        errors = json.loads(body)["errors"]
        texts = [f"{e.get('message') or e.get('code') or ''}" for e in errors]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
    return "; ".join(" ".join(t.split()) for t in texts if t)[:_LONGEST_REASON]


def retry_after(response: "urllib3.BaseHTTPResponse") -> float:
    """Seconds of a Retry-After header, which is a number or a date; 0 without one, bounded."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT)
    try:
        return max(0.0, min(parsedate_to_datetime(text).timestamp() - time.time(), _LONGEST_WAIT))
    except (ValueError, TypeError, OverflowError):
        return 0.0


@contextmanager
def faults(host: str) -> Iterator[None]:
    """What goes wrong on a connection becomes a Fault that names the host."""
    import urllib3.exceptions as wrong

    try:
        yield
    except (wrong.NewConnectionError, wrong.NameResolutionError) as e:
        raise Fault(f"no connection to {host}: {cause(e)}", again=True, down=True) from e
    except wrong.ConnectTimeoutError as e:
        raise Fault(f"no connection to {host} in time", again=True, down=True) from e
    except wrong.SSLError as e:
        raise Fault(f"no trust in the certificate of {host}: {cause(e)}") from e
    except wrong.ProxyError as e:
        raise Fault(f"the proxy to {host} failed: {cause(e.original_error)}", again=True, down=True) from e
    except wrong.ReadTimeoutError as e:
        raise Fault(f"{host} fell silent", again=True) from e
    except (wrong.LocationValueError, UnicodeError) as e:
        raise Fault(f"{host} is not a host that can be reached") from e
    except wrong.HTTPError as e:
        raise Fault(f"the connection to {host} broke off", again=True) from e


def error_of(fault: Fault, what: str) -> BuildError:
    """The error that ends a command; `what` says what was tried, with registry and repository.

    Codes: `registry-denied`, `not-in-registry`, `registry-unreachable`, `registry-failed`.
    """
    code, hint = "registry-failed", "try again later, or with a higher --retry" if fault.again else ""
    if fault.status in (401, 403):
        code = "registry-denied"
        hint = "buildtool login HOST stores credentials; the account has to be allowed to do this"
    elif fault.status == 404:
        code = "not-in-registry"
        hint = "check the name; a private repository may also look missing to who is not logged in"
    elif fault.down:
        code = "registry-unreachable"
        hint = "check the host, the network and its proxies (https_proxy, no_proxy)"
    return BuildError(code, f"{what}: {fault}", hint=hint, exit_status=1)
