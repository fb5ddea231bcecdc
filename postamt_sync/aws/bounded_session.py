# ruff: noqa: SLF001  (of all this botocore has no public way)
"""botocore's session with a bound on whatever answers it: services, sources of credentials.

botocore reads any answer to its end, into memory, and waits for a credential_process for as long as
that runs. A stranger in AWS's place, or a broken program, could so take all memory, or hold up
everybody who needs credentials. Here what is too large or takes too long is trouble of the call.
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
"""Bytes; DynamoDB's answers, the largest that we ask for, have 16 MB and are longer as JSON."""
LONGEST_ANSWER = 30.0
"""Seconds from the headers of an answer to its end."""
LARGEST_OUTPUT = 64 << 10
"""Bytes that a credential_process may print, on each of its two ways."""
LONGEST_PROGRAM = 30.0
"""Seconds that it may take; on a Raspberry Pi the AWS command line needs several to start."""
_CHUNK = 64 << 10


class BoundedSession(botocore.session.Session):
    """What boto3.Session takes as `botocore_session`.

    `program_seconds` is what a credential_process may take.
    """

    def __init__(self, program_seconds: float = LONGEST_PROGRAM) -> None:
        super().__init__()
        self._program_seconds = program_seconds
        self._bounded = False
        self._making = threading.RLock()
        self._asks = _Asks()

    def create_client(self, service_name: str, *args: Any, **options: Any) -> Any:
        """Make a client, in any thread; botocore's own for credentials are made here too."""
        unsigned = getattr(options.get("config"), "signature_version", None) is UNSIGNED
        if not unsigned and not self._asks.now:
            # Whoever has them may be slow, and nobody else's client is to wait for it.
            self.get_credentials()
        look_at_certificates(self)
        with self._making:  # clients serve all threads, the making of one does not
            client: Any = super().create_client(service_name, *args, **options)
        endpoint = client._endpoint
        endpoint.http_session = BoundedHttp(endpoint.http_session)
        client.meta.events.register("before-parse", refuse_another_shape)
        return client

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
    """Whether this thread just asks for credentials, for which botocore may make clients."""

    now = False


class BoundedHttp:
    """An HTTP session of botocore whose answers have an end.

    Bodies that the caller streams are left alone: who streams counts.
    """

    def __init__(self, session: URLLib3Session) -> None:
        self._session = session

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        if request.stream_output:
            return self._session.send(request)
        request.stream_output = True  # it is read here, not there
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
            response.raw.close()  # what is still to come must not be waited for
            raise
        return response

    def close(self) -> None:
        self._session.close()


def read(raw: Any, clock: Callable[[], float] = time.monotonic) -> bytes:
    """Read a body to its end. Raises ResponseParserError where it has none."""
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
    """Raise ResponseParserError where an answer is none to this operation.

    In a service that speaks JSON botocore takes a page of a proxy for an answer that says nothing,
    and so an empty object where a list should be: for a queue without messages.
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
    """Tell whether a member is of its type, as are those of a list; null is none at all."""
    if value is None:
        return True
    if not isinstance(value, _TYPES.get(shape.type_name, object)):
        return False
    if not isinstance(value, list):
        return True
    inner = _TYPES.get(shape.member.type_name, object)
    return all(isinstance(item, inner) for item in value)


class BoundedProgram:
    """A credential_process, as far as botocore uses a subprocess.Popen."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        # Where a person sits it may ask on the terminal, as only our own group may.
        self._group = None if os.isatty(0) else 0
        self._process = subprocess.Popen(  # noqa: S603  (the user's own command)
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=self._group
        )

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def communicate(self) -> tuple[bytes, bytes]:
        """Return what it printed when it has ended; kills it where that is too much or too late."""
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
        """Read until both ends are closed."""
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
        """Leave nothing behind; what the kernel does not let die is not waited for."""
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
    """Bound what these ask: botocore lets nobody pass its parts in."""
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
    """Bound the profiles that a role's own credentials come from."""
    make = builder.providers

    def providers(*args: Any, **options: Any) -> list[CredentialProvider]:
        made = list(make(*args, **options))
        _bound(made, seconds)
        return made

    builder.providers = providers
