# ruff: noqa: SLF001  (botocore has no public way to do any of this)
"""botocore's session with limits on whatever answers it: services and credential providers.

botocore reads any answer to its end, into memory, and waits for a credential_process for as long as
it runs. A stranger in AWS's place, or a broken program, could use up all memory or block everybody
who needs credentials. With these limits, an answer that is too large or too slow only fails the
call.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.credentials import (
    AssumeRoleProvider,
    ContainerProvider,
    CredentialProvider,
    InstanceMetadataProvider,
    ProcessProvider,
)
from botocore.exceptions import ConnectionClosedError, CredentialRetrievalError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as SlowError

from postamt_sync.aws.bounded_files import bound_files, look_at_certificates, look_at_settings

LARGEST_ANSWER = 32 << 20
"""Bytes. The largest answers that we request are DynamoDB's: 16 MB, and longer as JSON."""
LONGEST_ANSWER = 30.0
"""Seconds from the headers of an answer to its end."""
LARGEST_OUTPUT = 64 << 10
"""Bytes that a credential_process may print to stdout and to stderr."""
LONGEST_PROGRAM = 30.0
"""Seconds that it may run; on a Raspberry Pi the AWS command line takes several to start."""
_CHUNK = 64 << 10


class BoundedSession(botocore.session.Session):
    """A botocore session with these limits, for boto3.Session's `botocore_session`.

    `program_seconds` is how long a credential_process may run.
    """

    def __init__(self, program_seconds: float = LONGEST_PROGRAM) -> None:
        super().__init__()
        self._program_seconds = program_seconds
        self._bounded = False
        self._making = threading.RLock()
        self._asks = _Asks()

    def create_client(self, service_name: str, *args: Any, **options: Any) -> Any:
        """Create a client, in any thread. botocore creates its clients for credentials here too."""
        unsigned = getattr(options.get("config"), "signature_version", None) is UNSIGNED
        if not unsigned and not self._asks.now:
            # Before the lock: a provider may be slow, and nobody else's client should wait for it.
            self.get_credentials()
        look_at_certificates(self)
        with self._making:  # clients are thread-safe, creating one is not
            client: Any = super().create_client(service_name, *args, **options)
        endpoint = client._endpoint
        endpoint.http_session = BoundedHttp(endpoint.http_session)
        client.meta.events.register("before-parse", refuse_another_shape)
        return client

    def forget_endpoints(self) -> None:
        """Let go of AWS's table of all endpoints, 4 MB; the next client has it read again."""
        with self._making:
            self._register_endpoint_resolver()  # type: ignore[attr-defined]

    @property
    def full_config(self) -> Any:
        if self._config is None:  # type: ignore[attr-defined]
            look_at_settings(self)
        return super().full_config

    def get_credentials(self) -> Any:
        with self._making:
            if not self._bounded:
                chain = self.get_component("credential_provider")
                _bound(chain.providers, self._program_seconds)
                self._bounded = True
        before, self._asks.now = self._asks.now, True
        try:
            return super().get_credentials()
        finally:
            self._asks.now = before


class _Asks(threading.local):
    """Whether this thread is getting credentials, for which botocore may create clients."""

    now = False


class BoundedHttp:
    """A botocore HTTP session with limits on the size and duration of answers.

    Bodies that the caller streams are not limited here: whoever streams keeps count.
    """

    def __init__(self, session: URLLib3Session) -> None:
        self._session = session

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        if request.stream_output:
            return self._session.send(request)
        request.stream_output = True  # so that the body is read here
        response = self._session.send(request)
        try:
            response._content = read(response.raw)  # type: ignore[attr-defined]
        except SlowError as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except (HTTPError, OSError) as error:
            raise ConnectionClosedError(
                endpoint_url=request.url, request=request, error=error
            ) from error
        except BaseException:
            response.raw.close()  # do not wait for the rest of the body
            raise
        return response

    def close(self) -> None:
        self._session.close()


def read(raw: Any, clock: Callable[[], float] = time.monotonic) -> bytes:
    """Read a body to its end. Raises ResponseParserError if it is too large or too slow."""
    body = bytearray()
    end = clock() + LONGEST_ANSWER
    while chunk := raw.read1(_CHUNK):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise ResponseParserError("the answer is larger than any of AWS's")
        if clock() > end:
            raise ResponseParserError(f"the answer did not end within {LONGEST_ANSWER:g} s")
    raw.release_conn()
    return bytes(body)


def refuse_another_shape(operation_model: Any, response_dict: Any, **_: Any) -> None:
    """Raise ResponseParserError if an answer cannot be one to this operation.

    For a JSON service, botocore takes a proxy's HTML page for an empty answer, as it does an object
    in place of a list: a queue would seem to have no messages.
    """
    output = operation_model.output_shape
    protocol = operation_model.service_model.resolved_protocol
    if (
        protocol != "json"
        or response_dict["status_code"] >= 300
        or not getattr(output, "members", ())
    ):
        return
    try:
        said = json.loads(response_dict["body"])
    except (ValueError, RecursionError):
        said = None
    if (
        not isinstance(said, dict)
        or (said and not said.keys() & output.members.keys())
        or not all(_fits(said.get(name), member) for name, member in output.members.items())
    ):
        raise ResponseParserError("the answer is of another shape than AWS's")


_TYPES: dict[str, type] = {"list": list, "map": dict, "structure": dict, "string": str}


def _fits(value: Any, shape: Any) -> bool:
    """Whether a member, and the items if it is a list, have the right type; null counts as
    absent."""
    if value is None:
        return True
    if not isinstance(value, _TYPES.get(shape.type_name, object)):
        return False
    if not isinstance(value, list):
        return True
    inner = _TYPES.get(shape.member.type_name, object)
    return all(isinstance(item, inner) for item in value)


class BoundedProgram:
    """A credential_process with limits, with as much of subprocess.Popen as botocore uses."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        # At a terminal it may ask the person, which only a process in our own group can.
        self._group = None if os.isatty(0) else 0
        self._process = subprocess.Popen(  # noqa: S603  (the user's own command)
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=self._group
        )

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def communicate(self) -> tuple[bytes, bytes]:
        """Wait for its end and return what it printed; kill it if that is too much or too late."""
        try:
            printed = self._read()
            self._process.wait(self._left())
        except subprocess.TimeoutExpired:
            raise _no_use(f"credential_process took more than {self._seconds:g} s") from None
        else:
            return printed
        finally:
            self._let_go()

    def _read(self) -> tuple[bytes, bytes]:
        """Read until both pipes are closed."""
        ways: list[Any] = [self._process.stdout, self._process.stderr]
        printed: dict[Any, bytearray] = {each: bytearray() for each in ways}
        with selectors.DefaultSelector() as selector:
            for each in ways:
                selector.register(each, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(self._left()):
                    way: Any = key.fileobj
                    chunk = way.read1(_CHUNK)
                    printed[way] += chunk
                    if not chunk:
                        selector.unregister(way)
                    if len(printed[way]) > LARGEST_OUTPUT:
                        raise _no_use("credential_process does not stop printing")
        out, error = (bytes(printed[each]) for each in ways)
        return out, error

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise subprocess.TimeoutExpired(self._process.args, self._seconds)
        return left

    def _let_go(self) -> None:
        """Kill what is left; do not wait for what the kernel does not let die."""
        if self._group is not None:
            with suppress(ProcessLookupError):  # its children too
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.returncode is None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
        for way in (self._process.stdout, self._process.stderr):
            if way is not None:
                way.close()


def _no_use(why: str) -> CredentialRetrievalError:
    return CredentialRetrievalError(provider=ProcessProvider.METHOD, error_msg=why)


def _bound(providers: Iterable[CredentialProvider], seconds: float) -> None:
    """Put limits on these providers, by replacing their parts: botocore takes none from outside."""
    for each in providers:
        provider: Any = each
        bound_files(each)
        match each:
            case ProcessProvider():
                provider._popen = lambda command, **_: BoundedProgram(command, seconds)
            case ContainerProvider():
                fetcher = provider._fetcher
                fetcher._session = BoundedHttp(fetcher._session)
            case InstanceMetadataProvider():
                fetcher = provider._role_fetcher
                fetcher._session = BoundedHttp(fetcher._session)
            case AssumeRoleProvider():
                _bound_sources(provider._profile_provider_builder, seconds)


def _bound_sources(builder: Any, seconds: float) -> None:
    """Put limits on the profiles that provide a role's source credentials."""
    make = builder.providers

    def providers(*args: Any, **options: Any) -> list[CredentialProvider]:
        made = list(make(*args, **options))
        _bound(made, seconds)
        return made

    builder.providers = providers
