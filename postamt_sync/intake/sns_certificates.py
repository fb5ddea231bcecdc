"""The certificates that SNS signs with: which URLs are trusted, fetching and keeping them.

A signature is only worth as much as the URL of its certificate. The URL must be SNS's own in our
topic's region; TLS then proves that the certificate came from there. The name in the certificate
proves nothing more: AWS itself uses several (java-v2's SnsHostProvider).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from postamt_sync.config import Settings
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.events import Events, printable
from postamt_sync.intake.certificate_store import CertificateStore
from postamt_sync.intake.sns_message import ForgedError
from postamt_sync.log_line import without_markup
from postamt_sync.regular_file import read_small
from postamt_sync.throttle import Allowance

CERTIFICATE_PATH = r"/SimpleNotificationService-[0-9a-f]{32}\.pem"
EMULATORS_PREFIX = "(?:/_aws/sns)?"
"""LocalStack and localemu have their certificates there; allowed for an emulator's origin only."""
KEPT = 10
"""How many certificates are kept."""
LARGEST_PEM = 16 * 1024
"""Bytes."""
DOWNLOAD_SECONDS = 6
"""SNS waits 15 s for our answer, and the body and the ledger take some of that."""
FAILURE_SECONDS = 10
"""How long a failure is remembered: less than the 20 s between two of SNS's attempts."""
DOWNLOADS_PER_MINUTE = 12
"""For each peer, and for what comes through queues. A stranger can name any number of well-formed
URLs; a genuine one is new once a year."""
DOWNLOADS_OF_ALL_PEERS = 240
"""Per minute: whoever has many addresses has the allowances of many peers."""
FAILURES_REMEMBERED = 64
SMALLEST_KEY = 2048
"""Bits."""


def emulator_endpoint(environ: Mapping[str, str]) -> str | None:
    """Return the configured SNS endpoint if it is on this machine, as `scheme://host:port`.

    That is `AWS_ENDPOINT_URL_SNS` or else `AWS_ENDPOINT_URL`, if it is a loopback address.
    """
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    url = environ.get("AWS_ENDPOINT_URL_SNS") or environ.get("AWS_ENDPOINT_URL") or ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return None
    if not loopback or parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        return None
    return f"{parts.scheme}://{parts.netloc}"


def certificates(settings: Settings, environ: Mapping[str, str], events: Events) -> Certificates:
    """Return what fetches the certificates for the configured topic, of which there must be one.

    `environ` may name the authorities to trust (`AWS_CA_BUNDLE`).
    """
    return Certificates(
        settings.topic_arn,
        endpoint=emulator_endpoint(environ),
        ca_bundle=environ.get("AWS_CA_BUNDLE", ""),
        store=CertificateStore(settings.state_dir, events),
    )


@dataclass(slots=True)
class _Fetched:
    pem: bytes
    key: RSAPublicKey
    begins: dt.datetime
    ends: dt.datetime

    def holds(self, now: dt.datetime) -> bool:
        return self.begins <= now <= self.ends


class Certificates:
    """Provides the public key for a SigningCertURL of our topic's region.

    `endpoint` is the emulator's origin (`emulator_endpoint`), `ca_bundle` the file or directory of
    `AWS_CA_BUNDLE`. `store` keeps the certificates that proved good. `wall` is in seconds since
    1970, `clock` is monotonic.
    """

    def __init__(
        self,
        topic_arn: str,
        *,
        endpoint: str | None = None,
        ca_bundle: str = "",
        store: CertificateStore | None = None,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        download_seconds: float = DOWNLOAD_SECONDS,
    ) -> None:
        self._believed = _believed(topic_arn, endpoint)
        self._endpoint = endpoint
        self._ca_bundle = ca_bundle
        self._wall = wall
        self._clock = clock
        self._download_seconds = download_seconds
        self._kept: OrderedDict[str, _Fetched] = OrderedDict()
        self._failed: OrderedDict[str, tuple[float, PostamtError]] = OrderedDict()
        self._running: dict[str, asyncio.Task[_Fetched]] = {}
        self._each = Allowance(DOWNLOADS_PER_MINUTE, clock)
        self._peers = Allowance(DOWNLOADS_OF_ALL_PEERS, clock)
        self._store = store
        self._proven: OrderedDict[str, _Fetched] = self._remembered()
        self._writing = asyncio.Lock()
        self._written: set[asyncio.Task[None]] = set()

    async def key(self, url: str, peer: str = "") -> RSAPublicKey:
        """Return the key of the certificate at `url`, which is fetched if need be.

        `peer` is who brought the message, and whose allowance is charged for a download; "" is our
        queue.

        Raises ForgedError if the URL cannot be SNS's; TryLaterError or MisconfiguredError (both
        temporary) if the certificate cannot be fetched now, or is not valid by this machine's
        clock. The latter does not prove a forgery: a Pi starts in 1970.
        """
        if not self._believed.fullmatch(url):
            raise ForgedError("The address of the signing certificate is not SNS's.")
        for known in (self._proven, self._kept):
            if url in known and known[url].holds(self._now()):
                known.move_to_end(url)
                return known[url].key
        task = self._running.get(url)
        if task is None:
            self._refuse_if_failed_lately(url)
            self._spend_allowance(peer)
            task = asyncio.create_task(self._fetch(url), name="certificate download")
            self._running[url] = task
            task.add_done_callback(lambda done: self._finished(url, done))
        # Shielded: a peer that hangs up must not take the certificate from the others.
        fetched = await asyncio.shield(task)
        return fetched.key

    def proved_good(self, url: str) -> None:
        """Keep a certificate with which a message of our topic was verified.

        It is not displaced by what strangers name, and does not have to be downloaded again after
        a restart: the file is written soon, and nobody waits for that.
        """
        if url not in self._kept:
            return
        self._proven[url] = self._kept.pop(url)
        while len(self._proven) > KEPT:
            self._proven.popitem(last=False)
        if self._store is not None:
            writing = asyncio.create_task(self._write(self._store), name="certificate store")
            self._written.add(writing)
            writing.add_done_callback(self._written.discard)

    async def _write(self, store: CertificateStore) -> None:
        async with self._writing:
            kept = {
                url: fetched.pem.decode(errors="replace") for url, fetched in self._proven.items()
            }
            await asyncio.to_thread(store.write, kept)

    async def close(self) -> None:
        """Cancel all downloads; what proved good is in its file on return."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, *self._written, return_exceptions=True)

    def _remembered(self) -> OrderedDict[str, _Fetched]:
        kept: OrderedDict[str, _Fetched] = OrderedDict()
        for url, pem in (self._store.read() if self._store else {}).items():
            with suppress(PostamtError):
                if self._believed.fullmatch(url):
                    kept[url] = _read_pem(pem.encode(errors="replace"))
        return kept

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._wall(), dt.UTC)

    def _refuse_if_failed_lately(self, url: str) -> None:
        until, error = self._failed.get(url, (0.0, None))
        if error is None:
            return
        if self._clock() < until:
            # The same object is raised again and again, and its traceback would keep growing.
            raise error.with_traceback(None)
        del self._failed[url]

    def _spend_allowance(self, peer: str) -> None:
        if not self._each.spend(peer) or (peer and not self._peers.spend()):
            raise TryLaterError(
                "Too many signing certificates were asked for within a minute.",
                "If this goes on, someone is trying out URLs; nothing is lost.",
            )

    def _finished(self, url: str, task: asyncio.Task[_Fetched]) -> None:
        self._running.pop(url, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._kept[url] = task.result()
            self._kept.move_to_end(url)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        elif isinstance(error, PostamtError):
            self._failed[url] = (self._clock() + FAILURE_SECONDS, error)
            while len(self._failed) > FAILURES_REMEMBERED:
                self._failed.popitem(last=False)

    async def _fetch(self, url: str) -> _Fetched:
        fetched = _read_pem(await self._download(url))
        if not fetched.holds(self._now()):
            raise TryLaterError(
                "The signing certificate is not valid by this machine's clock.",
                f"It is valid from {fetched.begins:%Y-%m-%d} to {fetched.ends:%Y-%m-%d}, the clock "
                f"says {self._now():%Y-%m-%d %H:%M} UTC: set the clock (timedatectl).",
            )
        return fetched

    async def _download(self, url: str) -> bytes:
        emulated = self._endpoint is not None and url.startswith(f"{self._endpoint}/")
        timeout = aiohttp.ClientTimeout(total=self._download_seconds)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=not emulated) as session,
                session.get(url, ssl=self.trusted(), allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    raise _no_certificate(f"the answer was {answer.status}")
                pem = bytearray()
                async for chunk in answer.content.iter_any():
                    pem += chunk
                    if len(pem) > LARGEST_PEM:
                        raise _no_certificate("it is too large for a certificate")
                return bytes(pem)
        except TimeoutError as error:
            raise _no_certificate(f"no answer within {self._download_seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _no_certificate(printable(without_markup(str(error)))) from error

    def trusted(self) -> ssl.SSLContext | bool:
        """Return which authorities to trust for downloads, in aiohttp's form."""
        if not self._ca_bundle:
            return True
        directory = Path(self._ca_bundle).is_dir()
        try:
            if not directory:  # OpenSSL would wait for a pipe
                read_small(self._ca_bundle, links=True)
            return ssl.create_default_context(
                cafile=None if directory else self._ca_bundle,
                capath=self._ca_bundle if directory else None,
            )
        except OSError as error:
            raise MisconfiguredError(
                "The certificates named by AWS_CA_BUNDLE cannot be read.",
                f"Correct or unset it: {printable(self._ca_bundle)} ({error.strerror or error}).",
            ) from error


def _believed(topic_arn: str, endpoint: str | None) -> re.Pattern[str]:
    """Return one pattern for the whole URL, so that what is checked is what is requested."""
    region = topic_arn.split(":")[3]
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    places = [re.escape(f"https://sns.{region}.{suffix}")]
    if endpoint:
        places.append(re.escape(endpoint) + EMULATORS_PREFIX)
    return re.compile(f"(?:{'|'.join(places)}){CERTIFICATE_PATH}")


def _read_pem(pem: bytes) -> _Fetched:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except ValueError as error:
        raise _no_certificate("what came is not a certificate") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < SMALLEST_KEY:
        raise _no_certificate("its key is not RSA of 2048 bits or more")
    return _Fetched(pem, key, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _no_certificate(why: str) -> TryLaterError:
    return TryLaterError(
        "The signing certificate could not be fetched.",
        f"Check network, proxy and clock: {why}.",
    )
