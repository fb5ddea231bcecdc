"""The lists in an emulated DynamoDB, as the index function writes them."""

from __future__ import annotations

import uuid

import pytest

from postamt_sync.index.function import Indexer
from postamt_sync.mail.handed_routes import ROUTES_KEY
from postamt_sync.webmail.index_table import DynamoEntryTable
from postamt_sync.webmail.line_table import DynamoLineTable
from tests.doubles.moto import Moto
from tests.doubles.notices import AT, HEADERS, receipt
from tests.doubles.webmail import HANDED

pytestmark = pytest.mark.slow


def test_lines_are_read_newest_first_from_one_to_another(emulator: Moto) -> None:
    name = uuid.uuid4().hex
    index, lists = f"i{name}", f"l{name}"
    emulator.make_table(index)
    emulator.make_lists(lists)
    client = emulator.client("dynamodb")
    table = DynamoLineTable(client, lists)
    assert table.version_for(HANDED) == ""
    said = {"version": "v", "filled": "v", "routes": HANDED.to_json()}
    item = {**ROUTES_KEY, **{key: {"S": value} for key, value in said.items()}}
    client.put_item(TableName=lists, Item=item)
    assert table.version_for(HANDED) == "v"

    indexer = Indexer(index, "mail", "incoming/", client, emulator.client("s3"),
                      lambda *_: None, lists)  # fmt: skip
    for number in range(5):
        headers = {**HEADERS, "Message-ID": f"<m{number}@x>", "In-Reply-To": "<root@x>"}
        told = receipt(f"m{number}", ("bruno@example.com",), headers)
        told = told.replace(AT, f"2026-11-0{number + 1}T10:00:00.000Z")
        indexer.take(told.replace('"quarantine"', '"none"'))
    line = "2026-11-0{0}T10:00:00.000Z#m{1}"

    first = table.page("bruno#inbox", 1)
    assert [entry.message_id for _, entry in first.found] == ["m4", "m3"]
    assert first.after == first.found[-1][0] == line.format(4, 3)
    one = table.page("bruno#inbox", 1, before=first.after)
    assert [entry.message_id for _, entry in one.found] == ["m2"]
    rest = table.page("bruno#inbox", 10, before=first.after)
    assert [entry.message_id for _, entry in rest.found] == ["m2", "m1", "m0"]
    assert rest.after == ""
    since = table.page("bruno#inbox", 10, since="2026-11-03", before="2026-11-05")
    assert [entry.message_id for _, entry in since.found] == ["m3", "m2"]
    assert table.page("anna#inbox", 10).found == ()
    assert table.page("bruno#inbox", 10, since="2026-11-05", before="2026-11-03").found == ()
    assert table.linked("bruno", ["m2@x"]) == {"m2"}
    assert table.linked("bruno", ["nobody@x", "root@x"]) == {f"m{n}" for n in range(5)}
    assert table.linked("anna", ["root@x"]) == set()

    entries = DynamoEntryTable(client, index)
    assert entries.known(["m1", "m9"], "v") == {"m1"}
    assert entries.known(["m1"], "another") == set()
