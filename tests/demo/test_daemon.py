from postamt_sync.demo.daemon import Journeys


def line(event: str, second: int, **fields: object) -> dict[str, object]:
    return {"event": event, "mail": "m", "time": f"1970-01-01T00:00:{second:02}Z", **fields}


def test_the_first_source_and_the_last_delivery_count() -> None:
    journeys = Journeys()
    journeys.hear(line("announced", 1, source="webhook"))
    journeys.hear(line("announced", 2, source="poll"))
    journeys.hear(line("delivered", 3, mailbox="anna"))
    journeys.hear(line("delivered", 4, mailbox="bruno"))
    journey = journeys.of("m")
    assert journey.steps == {"announced": 1.0, "delivered": 4.0}
    assert journey.source == "webhook"
    assert journey.mailboxes == ["anna", "bruno"]


def test_other_lines_are_ignored() -> None:
    journeys = Journeys()
    journeys.hear({"event": "started"})
    journeys.hear({"mail": 5, "event": ["x"]})
    assert journeys.of("m").steps == {}
