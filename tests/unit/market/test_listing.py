"""What an exchange lists, from its directory and its screener."""

from __future__ import annotations

import json

import pytest

from stockpipeline.market.listing import (
    BadListing,
    ShrunkenListing,
    check_share,
    join,
    read_directory,
    read_screener,
)

DIRECTORY = """Symbol|Security Name|Market Category|Test Issue|Financial Status|Round Lot Size|ETF|NextShares
AAPL|Apple Inc. - Common Stock|Q|N|N|100|N|N
QQQ|Invesco QQQ Trust, Series 1|G|N|N|100|Y|N
ZVZZT|NASDAQ TEST STOCK|G|Y|N|100|N|N
TINY|Tiny Corp|S|N|D|100|N|N
NEWCO|New Co|S|N|N|100|N|N
File Creation Time: 1123202613:30|||||||
"""
SCREENER = json.dumps(
    {
        "data": {
            "rows": [
                {"symbol": "AAPL", "marketCap": "3,400,000,000,000.00", "sector": "Technology"},
                {"symbol": "TINY", "marketCap": "50000000.00", "sector": ""},
                {"symbol": "NEWCO", "marketCap": "0.00", "sector": None},
                {"symbol": "OTHER", "marketCap": "1", "sector": "x"},
            ]
        }
    }
)
TIERS = [("large", 10e9), ("mega", 200e9), ("micro", 0)]


def test_etfs_and_test_issues_are_out_and_sizes_and_tiers_are_joined() -> None:
    listed = join(read_directory(DIRECTORY), read_screener(SCREENER), tiers=TIERS)
    assert [(one.symbol, one.market_cap, one.tier) for one in listed] == [
        ("AAPL", 3.4e12, "mega"),
        ("TINY", 5e7, "micro"),
        ("NEWCO", None, ""),
    ]


def test_a_floor_leaves_out_what_is_smaller_or_of_unknown_size() -> None:
    listed = join(read_directory(DIRECTORY), read_screener(SCREENER), 1e9)
    assert [one.symbol for one in listed] == ["AAPL"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1"),
        ("<html>", "line 1"),
        (DIRECTORY.rpartition("File")[0], "cut off"),
        (DIRECTORY.replace("AAPL|Apple", "AAPL Apple"), "line 2"),
    ],
)
def test_another_or_half_a_directory_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadListing, match=message):
        read_directory(text)


@pytest.mark.parametrize("text", ["", "[]", '{"data": null}', '{"data": {"rows": [1]}}'])
def test_another_answer_than_the_screeners_is_refused(text: str) -> None:
    with pytest.raises(BadListing):
        read_screener(text)


def test_a_listing_that_has_shrunk_is_refused() -> None:
    check_share(90, 100, 0.9)
    check_share(1, 0, 0.9)
    with pytest.raises(ShrunkenListing, match="89 symbols, the last one had 100"):
        check_share(89, 100, 0.9)
