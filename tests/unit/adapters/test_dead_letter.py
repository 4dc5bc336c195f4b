"""Dead letters that Kafka takes, whatever they are made of."""

from confluent_kafka import Message

from stockpipeline.adapters.dead_letter import MAX_BYTES, MAX_EXPLANATION, DeadLetter, dead_letter


def _texts(letter: DeadLetter) -> dict[str, str]:
    return {name: str(value) for name, value in letter.headers}


def _size(letter: DeadLetter) -> int:
    texts = sum(len(name.encode()) + len(text.encode()) for name, text in _texts(letter).items())
    return len(letter.key or b"") + len(letter.value or b"") + texts


def test_a_message_of_the_default_limit_of_clients_is_kept_whole() -> None:
    value = b"x" * 1_000_000
    letter = dead_letter(Message("ticks", 3, 7, b"IBM", value), "bad-json", "not JSON")
    assert (letter.key, letter.value) == (b"IBM", value)
    assert "original-size" not in _texts(letter)


def test_a_larger_one_is_cut_and_says_so() -> None:
    for key in (None, b"IBM", b"k" * 3_000_000):
        letter = dead_letter(Message("ticks", 3, 7, key, b"x" * 5_000_000), "bad-json", "not JSON")
        assert _size(letter) <= MAX_BYTES
        assert letter.value == b"x" * len(letter.value or b"")
        assert len(letter.value or b"") > 1_000_000
        assert (key or b"").startswith(letter.key or b"")
        assert _texts(letter)["original-size"] == "5000000"
        assert _texts(letter)["offset"] == "7"


def test_a_message_without_a_value_has_none_in_the_letter() -> None:
    letter = dead_letter(Message("ticks", 0, 1, None, None), "bad-json", "not JSON")
    assert (letter.key, letter.value) == (None, None)


def test_an_explanation_that_quotes_much_is_cut() -> None:
    letter = dead_letter(Message("ticks", 0, 1, None, b""), "bad-symbol", "é" * 1_000_000)
    assert _texts(letter)["message"] == "é" * MAX_EXPLANATION
