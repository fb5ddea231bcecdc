"""The lists of the mailboxes: a line for each mail in each, written together with its entry.

The table has the keys `list` and `line`. These are in it:

    anna#inbox, anna#junk    a line for each mail: when it was received and its id, so that they
                             sort by time. The rest of the line is the item of the mail's entry
    #inbox, #junk            lines of mail of which no envelope is known
    anna#ids                 a line for each id by which a mail of anna's belongs to others
    #routes                  who gets what (`mail/handed_routes.py`)

An entry knows the keys of its lines, and changes with them in one transaction, on condition that
nobody has written it since it was read. So lines never tell of a mail what its entry does not,
and none is left behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from postamt_sync.index.entry import IndexEntry
from postamt_sync.index.entry_item import to_item
from postamt_sync.index.entry_update import entry_update, race_lost
from postamt_sync.index.item import Item, text
from postamt_sync.mail.arrival import Verdicts
from postamt_sync.mail.handed_routes import ROUTES_KEY, HandedRoutes

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

INBOX, JUNK, IDS = "inbox", "junk", "ids"
NOBODY = ""
"""Whose lists those of mail without an envelope are: no mailbox has this name."""
LONGEST_LINE = 1_024
"""Octets of a sort key (DynamoDB developer guide, "Constraints")."""
MOST_AT_ONCE = 99
"""Lines that one transaction writes beside the entry."""
_GONE = frozenset({"ResourceNotFoundException"})


@dataclass(frozen=True, slots=True)
class HandedVersion:
    """The routes that were handed over. `filled`: all mail has its lines by them."""

    version: str
    routes: HandedRoutes
    filled: bool = False


def list_name(mailbox: str, kind: str) -> str:
    """Return the name of a list; `kind` is INBOX, JUNK or IDS."""
    return f"{mailbox}#{kind}"


def line_name(received_at: str, message_id: str) -> str:
    """Return how the line of a mail is called; what is too long is cut, and its hash added."""
    name = f"{received_at}#{message_id}".encode("utf-8", "replace")
    if len(name) > LONGEST_LINE:
        digest = hashlib.sha256(name).hexdigest().encode()
        name = name[: LONGEST_LINE - len(digest) - 4] + b"#" + digest
    return name.decode("utf-8", "ignore")


def id_prefix(own_id: str) -> str:
    """Return how the lines of an id begin in the list IDS."""
    return f"{hashlib.sha256(own_id.encode('utf-8', 'replace')).hexdigest()[:32]}#"


def mailboxes_of(entry: IndexEntry, routes: HandedRoutes) -> tuple[str, ...]:
    """Return who gets the mail by its envelope, as the daemon's routing says; NOBODY's without."""
    received = entry.received_for.recipient if entry.received_for else None
    return routes.mailboxes(sorted(entry.recipients), received or None) or (NOBODY,)


def lines_of(entry: IndexEntry, item: Item, routes: HandedRoutes) -> dict[str, Item]:
    """Return the lines of a mail, by their joined keys."""
    accepted = entry.acceptance
    verdicts = accepted.verdicts if accepted else Verdicts()
    kind = JUNK if routes.is_junk(verdicts) else INBOX
    line = line_name(entry.received_at, entry.message_id)
    found: dict[str, Item] = {}
    for mailbox in mailboxes_of(entry, routes):
        _add(found, list_name(mailbox, kind), line, item)
        for each in _linked_by(entry):
            name = line_name(f"{id_prefix(each)}{line[:24]}", entry.message_id)
            _add(found, list_name(mailbox, IDS), name, {"message_id": item["message_id"]})
    return found


def _linked_by(entry: IndexEntry) -> Iterable[str]:
    """Return the ids by which a mail is found: its own, the first of all, and whom it answers."""
    if entry.listed is None:
        return ()
    facts = entry.listed.facts
    ids = (facts.own_id, *facts.references[:1], *facts.references[-1:])
    return dict.fromkeys(each for each in ids if each)


def _add(found: dict[str, Item], name: str, line: str, item: Item) -> None:
    keys: Item = {"list": {"S": name}, "line": {"S": line}}
    found[f"{name}\n{line}"] = {**item, **keys}


def _keys(joined: str) -> Item:
    name, _, line = joined.partition("\n")
    return {"list": {"S": name}, "line": {"S": line}}


def read_handed(client: DynamoDBClient, table: str) -> HandedVersion | None:
    """Return what was handed over, as of now; None where nothing was, or nothing that we know.

    Raises whatever else the service raises.
    """
    try:
        answer = client.get_item(TableName=table, Key=ROUTES_KEY, ConsistentRead=True)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return None
        raise
    item = answer.get("Item", {})
    try:
        version, said = text(item, "version"), text(item, "routes")
        if not version or not said:
            return None
        routes = HandedRoutes.from_json(said)
        default = routes.routes.default
    except (KeyError, ValueError, TypeError, RecursionError):
        return None
    filled = text(item, "filled") == version
    return HandedVersion(version, routes, filled) if default else None


class Lists:
    """Writes entries with their lines."""

    def __init__(self, client: DynamoDBClient, index: str, table: str) -> None:
        """`index` and `table` are the names of the tables of entries and of lines."""
        self._client = client
        self._index = index
        self._table = table

    def handed(self) -> HandedVersion | None:
        """Return the routes in force; raises whatever the service raises."""
        return read_handed(self._client, self._table)

    def write(
        self,
        entry: IndexEntry,
        over: Mapping[str, Any],
        without: Collection[str],
        handed: HandedVersion,
    ) -> bool:
        """Write an entry and its lines; False where someone else has written it since.

        `over` is the item that was read, {} if there was none; `without` are attributes that it has
        and the entry no more. Durable on return. Raises whatever the service raises.
        """
        item = to_item(entry)
        wanted = lines_of(entry, item, handed.routes)
        former = frozenset(over["lines"]["SS"]) if "lines" in over else frozenset()
        writes = [self._delete(key) for key in sorted(former - wanted.keys())]
        writes += [
            {"Put": {"TableName": self._table, "Item": line}}
            for key, line in wanted.items()
            if not (key in former and "listed" in over and _is_same(line, item, over))
        ]
        told: Item = {"listed": {"S": handed.version}, "lines": {"SS": sorted(wanted)}}
        if len(writes) <= MOST_AT_ONCE:
            update = entry_update(self._index, {**item, **told}, over, without)
            return self._transact(update, writes)
        both: Item = {"lines": {"SS": sorted(former | wanted.keys())}}
        begun = entry_update(self._index, {**item, **both}, over, {*without, "listed"})
        if not self._transact(begun, writes[:MOST_AT_ONCE]):
            return False
        for at in range(MOST_AT_ONCE, len(writes), MOST_AT_ONCE):
            last = at + MOST_AT_ONCE >= len(writes)
            going_on = entry_update(self._index, {**item, **(told if last else both)}, item)
            if not self._transact(going_on, writes[at : at + MOST_AT_ONCE]):
                return False
        return True

    def _delete(self, joined: str) -> dict[str, Any]:
        return {"Delete": {"TableName": self._table, "Key": _keys(joined)}}

    def _transact(self, update: Mapping[str, Any], writes: Sequence[Any]) -> bool:
        every: list[Any] = [{"Update": update}, *writes]
        try:
            self._client.transact_write_items(TransactItems=every)
        except ClientError as error:
            if race_lost(error):
                return False
            raise
        return True


def _is_same(line: Item, item: Item, over: Mapping[str, Any]) -> bool:
    """Tell whether a line that is there needs no writing: it says the same as the one before."""
    return "key" not in line or over.get("digest") == item["digest"]
