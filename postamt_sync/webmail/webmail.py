"""The webmail: a function from a request to its answer, independent of the HTTP front."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.index.entry import IndexEntry
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.webmail.conversations import Conversations
from postamt_sync.webmail.day_place import DayPlace
from postamt_sync.webmail.exchange import RefusedRequestError, WebAnswer, WebRequest
from postamt_sync.webmail.gate import Gate
from postamt_sync.webmail.index_table import EntryTable
from postamt_sync.webmail.keys import Keys
from postamt_sync.webmail.known_devices import KNOWN_SECONDS, KnownDevices
from postamt_sync.webmail.line_table import LineTable
from postamt_sync.webmail.listing_pages import ListingPages
from postamt_sync.webmail.mail_list import MailList, read_mail_address
from postamt_sync.webmail.mail_store import MailGoneError, MailStore
from postamt_sync.webmail.mailer import Mailer
from postamt_sync.webmail.placing import Placing
from postamt_sync.webmail.reading_pages import ReadingPages
from postamt_sync.webmail.record_table import RecordTable
from postamt_sync.webmail.secret import COST
from postamt_sync.webmail.seen_mails import SeenMails
from postamt_sync.webmail.sending import Sending
from postamt_sync.webmail.sent_list import PREFIX, SentList
from postamt_sync.webmail.sent_store import SentStore
from postamt_sync.webmail.sessions import TOKEN_SECONDS, WebSession, WebSessions, cookie
from postamt_sync.webmail.slow_down import SlowDown
from postamt_sync.webmail.tokens import SignedTokens
from postamt_sync.webmail.unindexed import MailPlaces, Unindexed
from postamt_sync.webmail.users import WebmailUsers
from postamt_sync.webmail.writing_pages import WritingPages

Say = Callable[[str, str, Mapping[str, object]], None]
"""Takes level, event and fields of a log line: never an address, or anything from a mail."""

_OF_A_MAIL = re.compile(
    r"/api/mails/([A-Za-z0-9_-]{1,1400})(?:/(html|source|seen|conversation|parts/([\d.:]{0,200})))?"
)

_OF_A_DRAFT = re.compile(r"/api/drafts/([a-z0-9-]{20,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class WebmailPorts:
    """Everything through which the webmail reaches the world.

    `keys` sign sessions, `device_keys` the devices' cookies. `host` is the name of the webmail,
    `origins` are its origins in browsers. `clock` is in seconds since 1970. `kept` stores mail that
    is written here. Without `lines`, mail is listed from the index.
    """

    table: RecordTable
    index: EntryTable
    store: MailStore
    handed: HandedRoutes
    keys: Keys
    device_keys: Keys
    host: str
    origins: Collection[str]
    clock: Callable[[], float]
    say: Say
    places: MailPlaces
    mailer: Mailer
    kept: SentStore
    day: DayPlace | None = None
    hash_cost: int = COST
    lines: LineTable | None = None


class Webmail:
    """Answers requests. May be called from many threads."""

    def __init__(self, ports: WebmailPorts) -> None:
        users = WebmailUsers(ports.table, ports.clock, ports.hash_cost)
        clock = ports.clock
        tokens = SignedTokens(ports.keys, ports.host, TOKEN_SECONDS, clock)
        sessions = WebSessions(ports.table, users, tokens, clock)
        devices = KnownDevices(
            SignedTokens(ports.device_keys, f"{ports.host}/device", KNOWN_SECONDS, clock)
        )
        slow_down = SlowDown(ports.table, ports.clock)
        self._say = ports.say
        self._gate = Gate(sessions, users, devices, slow_down, ports.origins, ports.clock)
        self._seen = SeenMails(ports.table)
        placing = Placing(ports.handed, ports.store)
        unindexed = Unindexed(ports.store, ports.index, ports.places, ports.clock)
        self._mails = MailList(ports.index, unindexed, placing, ports.clock, ports.lines)
        self._sent = SentList(ports.table)
        conversations = Conversations(ports.index, ports.lines, placing, self._mails, self._sent)
        sending = Sending(ports.table, ports.kept, ports.store, ports.mailer, ports.clock)
        self._listing = ListingPages(
            self._mails, self._sent, self._seen, conversations, sending.complete
        )
        self._reading = ReadingPages(ports.store, ports.day)
        self._writing = WritingPages(sending, ports.handed, ports.store, self._find, ports.day)

    def answer(self, request: WebRequest) -> WebAnswer:
        """Return the answer to any request; never raises."""
        try:
            return self._answer(request)
        except RefusedRequestError as refused:
            return refused.answer
        except MailGoneError as gone:
            return RefusedRequestError(HTTPStatus.GONE, gone.problem).answer
        except (ClientError, BotoCoreError) as error:
            self._say("error", "webmail: AWS refused", {"reason": _reason(error)})
            return RefusedRequestError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "AWS is not answering properly. Try again in a moment.",
                wait=5,
            ).answer
        except Exception as error:  # noqa: BLE001  the last place to turn it into an answer
            self._say("error", "webmail: unexpected", {"reason": type(error).__name__})
            return RefusedRequestError(
                HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here. Try again."
            ).answer

    def _answer(self, request: WebRequest) -> WebAnswer:
        self._gate.check_origin(request)
        match request.method, request.path:
            case "POST", "/api/sign-in":
                return self._gate.sign_in(request)
            case "POST", "/api/sign-in/known":
                return self._gate.sign_in_known(request)
            case _, path if not path.startswith("/api/"):
                raise _nothing_there()
        session = self._gate.session(request)
        answer = self._signed_in(session, request)
        if session.token and not answer.cookies:
            return replace(answer, cookies=(cookie(session.token),))
        return answer

    def _signed_in(self, session: WebSession, request: WebRequest) -> WebAnswer:
        if (found := _OF_A_MAIL.fullmatch(request.path)) is not None:
            return self._of_a_mail(session, request, found)
        if (draft := _OF_A_DRAFT.fullmatch(request.path)) and request.method == "GET":
            return self._writing.look(session, draft[1])
        pages: dict[tuple[str, str], Callable[[], WebAnswer]] = {
            ("GET", "/api/session"): lambda: self._gate.look(
                session, self._writing.addresses(session)
            ),
            ("POST", "/api/sign-out"): lambda: self._gate.sign_out(session),
            ("POST", "/api/sign-out-everywhere"): lambda: self._gate.sign_out_everywhere(session),
            ("GET", "/api/mails"): lambda: self._listing.page(session, request),
            ("POST", "/api/uploads"): lambda: self._writing.upload(session, request),
            ("POST", "/api/send"): lambda: self._writing.send(session, request),
        }
        return pages.get((request.method, request.path), _nowhere)()

    def _find(self, session: WebSession, address: str) -> IndexEntry:
        """Return one of the session's mails, received or sent. Raises RefusedRequestError."""
        message_id = read_mail_address(address)
        if message_id.startswith(PREFIX):
            sent = self._sent.find(session.mailbox, message_id)
            if sent is not None:
                return sent
        return self._mails.find(session, message_id)

    def _of_a_mail(
        self, session: WebSession, request: WebRequest, found: re.Match[str]
    ) -> WebAnswer:
        message_id = read_mail_address(found[1])
        if (request.method, found[2]) == ("POST", "seen"):
            return self._listing.mark(session, request, message_id)
        if request.method != "GET":
            raise _nothing_there()
        entry = self._find(session, found[1])
        match found[2]:
            case None:
                seen = entry.message_id in self._seen.among(session.mailbox, [entry])
                return self._reading.mail(entry, request, seen=seen)
            case "html":
                return self._reading.html(entry, request)
            case "conversation":
                return self._listing.conversation(session, entry)
            case "source":
                return self._reading.source(entry, request)
            case _ if found[3] is not None:
                return self._reading.attachment(entry, found[3])
        raise _nothing_there()


def _nowhere() -> WebAnswer:
    raise _nothing_there()


def _nothing_there() -> RefusedRequestError:
    return RefusedRequestError(HTTPStatus.NOT_FOUND, "There is nothing here.")


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))[:100]
    return type(error).__name__
