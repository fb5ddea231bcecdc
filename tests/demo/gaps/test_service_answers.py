"""A class of ours answers where moto's did, and at paths that moto does not know."""

from __future__ import annotations

from postamt_sync.demo.gaps.service_answers import answer_by


class Theirs:
    """As moto's: `dispatch` answers for the class that it is called on."""

    @classmethod
    def dispatch(cls) -> str:
        return cls.__name__


class Ours(Theirs):
    pass


class Again(Ours):
    pass


def other() -> str:
    return "another function"


def test_ours_answers_at_its_paths_and_nothing_else_changes() -> None:
    paths = {"/a": Theirs.dispatch, "/b": Theirs.dispatch, "/c": other}
    answer_by(Ours, paths, ["/d"])
    assert {path: answer() for path, answer in paths.items()} == {
        "/a": "Ours",
        "/b": "Ours",
        "/c": "another function",
        "/d": "Ours",
    }


def test_what_was_extended_can_be_extended_once_more() -> None:
    paths = {"/a": Theirs.dispatch}
    answer_by(Ours, paths)
    answer_by(Again, paths)
    assert paths["/a"]() == "Again"
