"""Rounds of questions go on whatever a question leads to."""

from __future__ import annotations

import threading

from stockpipeline_operator.feed.rounds import Key, Rounds

KEY = ("default", "demo")


def test_a_round_that_fails_is_followed_by_another() -> None:
    asked: list[Key] = []
    again = threading.Event()

    def ask(key: Key) -> None:
        asked.append(key)
        if len(asked) == 1:
            raise RuntimeError("a bug")
        again.set()

    rounds = Rounds("test", 0.001, lambda: [KEY], ask)
    rounds.start()
    assert again.wait(20)
    rounds.stop()
    assert asked[0] == asked[1] == KEY


def test_without_pipelines_nothing_is_asked() -> None:
    asked: list[Key] = []
    Rounds("test", 1.0, list, asked.append).round()
    assert asked == []
