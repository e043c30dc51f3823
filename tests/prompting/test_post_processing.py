"""Post-processing against the reference implementation's outputs, and against any text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.prompting import clean_completion, split_sentences

CASES = json.loads((Path(__file__).parents[1] / "reference" / "method_cases.json").read_text("utf-8"))["post_process"]

BLANKS = "blanks inside a line are folded, tabs too, and none trails"
QUOTE = "an opening quotation mark belongs to the first word"
ABBREVIATION = "a full stop after an abbreviation or inside a number is no end"
SINGLE_LETTER = "a single letter with a full stop is taken for an abbreviation"
PUNCTUATION = "nothing but punctuation is empty"
STRAY = "a stray full stop begins no sentence of its own"

# Where ours departs from the reference, by the number of the case: (our result, why).
DEPARTURES: dict[int, tuple[str, str]] = {
    1: ("is it normal? ? 100% sure.? Tabbed? I'm 22M, she's 21F.", BLANKS),
    4: ('"my cat (Mr. Whiskers) ran away?', QUOTE),
    6: ('"Quote first."', QUOTE),
    8: ("émigré café\n Tabbed\n\n\nSecond paragraph\n...\nhelp!!", BLANKS),
    9: ("3.5 apples and no end", ABBREVIATION),
    13: ("3.5 apples and no end", ABBREVIATION),
    16: ("Second paragraph.", ABBREVIATION),
    20: ("\"OK? e.g. rent? two spaces ? I'm 22M, she's 21F!", QUOTE),
    22: ("she left me\nmy cat (Mr. Whiskers) ran away\nNo end", ABBREVIATION),
    23: ("", PUNCTUATION),
    26: ("is it normal?", STRAY),
    27: ("\"help! the landlord won't fix it help! ...", QUOTE),
    32: ("\"I'm 22M, she's 21F\nwhat do I do.", QUOTE),
    35: ("e.g. rent. 😀 emoji.", ABBREVIATION),
    36: ("Tabbed. Tabbed. ...", BLANKS),
    38: ('"costs $3.50 a day!', QUOTE),
    40: ('"she left me. my cat (Mr. Whiskers) ran away. –?', QUOTE),
    42: ("", PUNCTUATION),
    43: ("she left me, I'm 22M, she's 21F, two spaces , costs $3.50 a day, she left me and then", ABBREVIATION),
    44: ("Tl;dr: x. y", SINGLE_LETTER),
    45: ('"costs $3.50 a day', ABBREVIATION),
    46: ("", PUNCTUATION),
    47: ("\"I'm 22M, she's 21F", QUOTE),
    49: ('"my cat (Mr. Whiskers) ran away. costs $3.50 a day. what do I do?', QUOTE),
    52: ("OK? Tabbed!", BLANKS),
    61: ('"Quote first."', QUOTE),
    68: ('"she left me. my cat (Mr. Whiskers) ran away. –?', QUOTE),
    74: ('"quoted"! OK!', QUOTE),
    75: ("Tabbed", BLANKS),
    76: ("she left me, I'm 22M, she's 21F, two spaces , costs $3.50 a day, she left me and then", ABBREVIATION),
    77: ("100% sure., 😀 emoji, I'm 22M, she's 21F, my cat (Mr. Whiskers) ran away, I lost my job", ABBREVIATION),
    79: ('Tabbed\n"quoted"\n Tabbed\nmy cat (Mr. Whiskers) ran away', ABBREVIATION),
    80: ("", PUNCTUATION),
    84: ('"edit: typo e.g. rent No end 100% sure..', QUOTE),
    89: ("e.g. rent e.g. rent 😀 emoji I'm 22M, she's 21F my cat (Mr. Whiskers) ran away", ABBREVIATION),
    95: ("", PUNCTUATION),
    99: ("costs $3.50 a day ... 100% sure.", ABBREVIATION),
    100: ("\"the landlord won't fix it!", QUOTE),
    106: ("Mr. Smith went home", ABBREVIATION),
    109: ("\"OK? e.g. rent? two spaces ? I'm 22M, she's 21F!", QUOTE),
    112: ("she left me? ...?", ABBREVIATION),
    115: ("she left me? ...?", ABBREVIATION),
    117: ("Tl;dr: x. y", SINGLE_LETTER),
}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_equals_the_reference_wherever_it_was_right(number: int) -> None:
    case = CASES[number]
    expected, _ = DEPARTURES.get(number, (case["expected"], ""))
    assert clean_completion(case["text"], first_line_only=case["cut_at_newline"]) == expected


def test_departures_really_depart() -> None:
    assert all(CASES[number]["expected"] != ours for number, (ours, _) in DEPARTURES.items())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("- $1.5k is what I owe. Help", "$1.5k is what I owe."),
        ("* (so far) nothing. Then", "(so far) nothing."),
        ("#1 rule: sleep.", "#1 rule: sleep."),
        ("# Heading", "Heading"),
        ("@sam never called.", "@sam never called."),
        ("€5 a day", "€5 a day"),
        (": I told Mr. Smith to leave. He", "I told Mr. Smith to leave."),
        ("She left me... and I am", "She left me... and I am"),
        ("He asked me to go at 5 p.m. on Friday", "He asked me to go at 5 p.m. on Friday"),
        ("First.\nSecond.", "First."),
        ("OK. OK. and", "OK."),
        ("I said OK. OK. I left and", "I said OK. OK."),
        ("OK. OK", "OK."),
        ("He sold books, etc. I was sad and", "He sold books, etc."),
        ("We took plan A. I'm still waiting for", "We took plan A."),
        ("It closed at 5 p.m. I went home and", "It closed at 5 p.m."),
        ("No. I left and", "No."),
        ("It was me vs. I don't know who", "It was me vs. I don't know who"),
        ("He liked E. I. du Pont and", "He liked E. I. du Pont and"),
        ("Improved output:\n\n- The cat left.", "The cat left."),
        ("Output:", "Output:"),
    ],
)
def test_what_belongs_to_the_first_word_stays_and_abbreviations_end_nothing(raw: str, expected: str) -> None:
    assert clean_completion(raw) == expected


def test_a_completion_cut_by_length_loses_its_unfinished_sentence() -> None:
    text = "I lost my job. My landlord wants"
    assert clean_completion(text, ended_by_length=True) == "I lost my job."
    assert clean_completion("My landlord wants", ended_by_length=True) == "My landlord wants"  # nothing else is left
    assert clean_completion("I lost my job. He left.", ended_by_length=True) == "I lost my job. He left."


@given(st.text(max_size=200), st.booleans(), st.booleans())
def test_any_text_gives_one_clean_text_that_does_not_change_again(text: str, by_length: bool, first: bool) -> None:
    cleaned = clean_completion(text, ended_by_length=by_length, first_line_only=first)
    assert cleaned == "" or any(character.isalnum() for character in cleaned)
    assert cleaned == cleaned.strip()
    assert "  " not in cleaned
    assert len(cleaned) <= len(text)
    if first:
        assert "\n" not in cleaned


@given(st.text(max_size=200))
def test_sentences_lose_nothing_but_blanks(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())
