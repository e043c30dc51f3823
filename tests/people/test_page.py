"""The page in a real browser: a session of every kind, by keyboard and by touch, and rules 3, 14, 16 to 28 and 32."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ilf_kedro.people import FeedbackAnswer, IncorporatedAnswer, Item, Message, Passage, RankingAnswer
from ilf_kedro.people.campaign import add_guidelines
from ilf_kedro.people.records import Record, list_records
from tests.support.campaigns import ask_feedback, ask_incorporated, ask_order, make_campaign
from tests.support.pages import ServedPage, browser_context, needs_chromium, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Playwright

pytestmark = [pytest.mark.slow, needs_chromium]

HOSTILE = """<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>
</textarea><a href="javascript:document.title='broken'">link</a> <b>bold</b> &lt;
{{7*7}} ${7*7} [x](javascript:alert(1))"""
HEBREW = "שלום, זו תשובה ארוכה."
CODE = "def add(a, b):\n    # the sum\n\treturn a + b  if True else 'no'\n"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with pytest.importorskip("playwright.sync_api").sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def context(playwright: Playwright) -> Iterator[BrowserContext]:
    with browser_context(playwright, viewport={"width": 1280, "height": 800}) as opened:
        yield opened


class Session:
    """One campaign, served, and one annotator's page on it."""

    def __init__(self, context: BrowserContext, folder: Path, items: list[Item], **settings: object) -> None:
        self.served = ServedPage(make_campaign(folder, items, **settings))
        self.context = context
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def enter(self, *, language: str | None = "en", read: bool = True) -> Page:
        self.page.goto(self.served.link(language=language, read=read))
        self.page.wait_for_selector("#question, .finished, dialog[open]")
        return self.page

    def saved(self, n: int = 1) -> list[Record]:
        """The answers on disk, once the page says so and there are `n`."""
        wait_until(self.page, "document.querySelector('#status').textContent.startsWith('Saved')")
        records = self.records()
        assert len(records) == n
        self.page.evaluate("document.querySelector('#status').textContent = ''")
        return records

    def records(self) -> list[Record]:
        return self.served.database.do(list_records)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.page.close()
        self.served.stop()
        if error[0] is None:
            assert self.faults == []


def by_letter(record: Record) -> dict[str, int]:
    assert isinstance(record.answer, RankingAnswer)
    return {letter: record.answer.ranks[key] for letter, key in zip("ABCDEF", record.order_shown, strict=False)}


def show(texts: list[Passage], **more: object) -> Item:
    """A ranking of such outputs (or feedback on one)."""
    candidates = [{"candidate_id": f"c{n}", "output": text, "sources": (f"m{n}",)} for n, text in enumerate(texts)]
    kind = {1: "feedback", 2: "compare"}.get(len(texts), "rank")
    values = {"item_id": "i", "example_id": "e", "kind": kind, "inputs": (), "candidates": candidates}
    return Item.model_validate(values | more)


def test_a_session_of_feedback_by_keyboard_alone(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(2), classes=("Coverage", "Accuracy")) as session:
        page = session.enter(read=False)
        assert "Be fair" in page.inner_text("#instructions-text")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter") if page.evaluate(
            "document.activeElement.id"
        ) == "instructions-close" else page.focus("#instructions-close")
        page.keyboard.press("Enter")
        page.wait_for_selector("#question")
        page.keyboard.press("f")
        page.keyboard.type("It says nothing about the end.")
        page.keyboard.press("Tab")  # nothing to say
        page.keyboard.press("Tab")
        page.keyboard.type("Accuracy")
        page.keyboard.press("Tab")
        page.keyboard.type("A better one.")
        page.keyboard.press("Control+Enter")
        (record,) = session.saved()
        assert record.answer == FeedbackAnswer(
            feedback="It says nothing about the end.", feedback_class="Accuracy", ideal_output="A better one."
        )
        assert record.guideline_version == 1
        page.keyboard.press("n")
        page.keyboard.press("Control+Enter")
        assert session.saved(2)[1].answer == FeedbackAnswer(nothing_to_say=True)
        assert page.inner_text("#counts") == "2 done, 0 left"
        assert "All done" in page.inner_text("main")


def test_a_session_of_comparisons_by_keyboard_alone(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_order(4)) as session:
        page = session.enter()
        for number, key in enumerate("120x", start=1):
            page.keyboard.press(key)
            page.keyboard.press("Control+Enter")
            session.saved(number)
        first, second, equal, bad = session.records()
        assert [by_letter(record) for record in (first, second, equal)] == [
            {"A": 1, "B": 2},
            {"A": 2, "B": 1},
            {"A": 1, "B": 1},
        ]
        assert bad.answer == RankingAnswer(kind="compare", ranks={}, all_bad=True)


def test_six_are_ranked_by_keyboard_with_ties(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_order(1, n_methods=6)) as session:
        page = session.enter()
        for key in ("1", "2", "2", "4", "5", "6", "c", "3"):  # then C again, to rank 3
            page.keyboard.press(key)
        page.keyboard.press("b")
        page.keyboard.press("3")
        page.keyboard.press("Control+Enter")
        (record,) = session.saved()
        assert by_letter(record) == {"A": 1, "B": 3, "C": 3, "D": 4, "E": 5, "F": 6}


def test_a_session_of_refinements_by_keyboard_alone(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_incorporated(2)) as session:
        page = session.enter()
        assert "Say more about 0." in page.inner_text(".inputs")
        page.keyboard.press("d")
        page.wait_for_selector(".changes")
        assert page.inner_text(".changes del") == "First"
        page.keyboard.press("d")
        assert page.locator(".changes").count() == 0
        assert page.inner_text(".output .text") == "More about 0."
        for number, key in enumerate("yn", start=1):
            page.keyboard.press(key)
            page.keyboard.press("Control+Enter")
            session.saved(number)
        assert [record.answer for record in session.records()] == [
            IncorporatedAnswer(incorporated=True),
            IncorporatedAnswer(incorporated=False),
        ]


def test_six_are_ranked_by_touch_on_a_narrow_screen(playwright: Playwright, tmp_path: Path) -> None:
    with (
        browser_context(playwright, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True) as narrow,
        Session(narrow, tmp_path, ask_order(1, n_methods=6)) as session,
    ):
        page = session.enter()
        for letter, rank in zip("ABCDEF", (6, 5, 4, 3, 2, 1), strict=True):
            page.locator(f"#rank-{letter} label", has_text=str(rank)).tap()
        page.locator("#form button.main").tap()
        (record,) = session.saved()
        assert by_letter(record) == dict(zip("ABCDEF", (6, 5, 4, 3, 2, 1), strict=True))


def test_what_is_missing_is_said_and_nothing_is_saved(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_order(1, n_methods=3)) as session:
        page = session.enter()
        page.keyboard.press("1")
        page.keyboard.press("Control+Enter")
        wait_until(page, "document.querySelector('#alert').textContent.startsWith('Give every output')")
        assert session.records() == []


def test_going_back_shows_the_answer_and_makes_a_revision(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_order(2)) as session:
        page = session.enter()
        page.keyboard.press("1")
        page.keyboard.press("Control+Enter")
        session.saved()
        page.keyboard.press("u")
        wait_until(page, "document.querySelector('#form button.main').textContent.includes('change')")
        assert page.is_checked("input[value=first]")
        page.keyboard.press("2")
        page.keyboard.press("Control+Enter")
        first, second = session.saved(2)
        assert (first.item_id, first.revision, second.revision) == (second.item_id, 1, 2)
        assert by_letter(second) == {"A": 2, "B": 1}
        page.keyboard.press("h")
        page.wait_for_selector("#history-list button")
        assert page.locator("#history-list button").count() == 1


def test_skipping_needs_a_reason(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(2)) as session:
        page = session.enter()
        page.keyboard.press("s")
        page.keyboard.press("Control+Enter")
        assert page.inner_text("#alert") == "Say why."
        page.keyboard.type("I cannot read this")
        page.keyboard.press("Control+Enter")
        (record,) = session.saved()
        assert (record.status, record.reason) == ("skipped", "I cannot read this")
        assert page.inner_text("#counts") == "0 done, 1 skipped, 1 left"


def test_a_draft_stays_where_it_was_typed_and_survives_a_reload(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(3)) as session:
        page = session.enter()
        page.fill("[name=feedback]", "done")
        page.keyboard.press("Control+Enter")
        session.saved()
        page.fill("[name=feedback]", "typed in the second")
        page.click("#undo")  # within the delay of the draft
        wait_until(page, "document.querySelector('[name=feedback]').value === 'done'")
        page.wait_for_timeout(800)
        assert page.input_value("[name=feedback]") == "done"
        page.reload()
        page.wait_for_selector("#question")
        assert page.input_value("[name=feedback]") == "typed in the second"
        assert len(session.records()) == 1


def test_a_keystroke_just_before_the_tab_closes_is_kept(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(1)) as session:
        page = session.enter()
        page.fill("[name=feedback]", "last words")
        page.close()
        session.page = context.new_page()
        session.page.goto(session.served.address)
        session.page.wait_for_selector("#question")
        assert session.page.input_value("[name=feedback]") == "last words"


def test_bare_keys_do_nothing_in_fields(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(1)) as session:
        page = session.enter()
        page.keyboard.press("f")
        page.keyboard.type("nsudihfx?12\n")
        page.keyboard.press("Enter")
        assert page.input_value("[name=feedback]") == "nsudihfx?12\n\n"
        assert page.locator("dialog[open]").count() == 0
        assert not page.is_checked("[name=nothing_to_say]")
        assert session.records() == []
        page.keyboard.press("Escape")
        page.keyboard.press("i")
        page.wait_for_selector("#instructions[open]")


def test_enter_while_composing_does_not_submit(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(1)) as session:
        page = session.enter()
        page.keyboard.press("f")
        devices = context.new_cdp_session(page)
        devices.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
        key = {"type": "rawKeyDown", "key": "Process", "code": "Enter", "windowsVirtualKeyCode": 229, "modifiers": 2}
        devices.send("Input.dispatchKeyEvent", key)
        page.evaluate(
            """document.activeElement.dispatchEvent(new KeyboardEvent('keydown',
               {key: 'Enter', ctrlKey: true, isComposing: true, bubbles: true}))"""
        )
        page.wait_for_timeout(300)
        assert session.records() == []
        devices.send("Input.insertText", {"text": "日本"})
        page.keyboard.press("Control+Enter")
        (record,) = session.saved()
        assert record.answer == FeedbackAnswer(feedback="日本")


def test_two_megabytes_are_refused_with_the_draft_intact(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(1)) as session:
        page = session.enter()
        page.fill("[name=feedback]", "before")
        page.focus("[name=feedback]")
        page.evaluate("document.execCommand('insertText', false, 'x'.repeat(2_000_000))")
        assert "2000006 characters; at most 50000" in page.inner_text("#alert")
        assert page.input_value("[name=feedback]") == "before"
        page.keyboard.press("Control+Enter")
        assert session.saved()[0].answer == FeedbackAnswer(feedback="before")


def test_nothing_typed_is_lost_at_400_ms_latency(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(1)) as session:
        page = session.enter()
        page.route("**/api/**", lambda route: (time.sleep(0.4), route.continue_()))
        text = "A sentence that is typed while drafts are on their way, and on. " * 2
        page.keyboard.press("f")
        page.keyboard.type(text, delay=20)
        assert page.input_value("[name=feedback]") == text
        page.keyboard.press("Control+Enter")
        assert session.saved()[0].answer == FeedbackAnswer(feedback=text)
        page.unroute("**/api/**")


def test_a_minute_without_the_server_costs_nothing(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(2)) as session:
        page = session.enter()
        page.fill("[name=feedback]", "before ")
        page.wait_for_timeout(900)
        session.served.stop()
        page.keyboard.press("End")
        page.keyboard.type("and during the break")
        page.keyboard.press("Control+Enter")
        wait_until(page, "document.querySelector('#alert').textContent.startsWith('Not saved yet')")
        page.wait_for_timeout(60_000)
        assert session.records() == []
        session.served.start()
        wait_until(page, "document.querySelector('#status').textContent.includes('Saved')")
        (record,) = session.records()
        assert record.answer == FeedbackAnswer(feedback="before and during the break")
        claims = "SELECT count(*) FROM assignments"
        assert session.served.database.do(lambda connection: connection.execute(claims).fetchone()[0]) == 2


def test_an_answer_that_could_not_be_sent_is_sent_by_the_next_opening(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(2)) as session:
        page = session.enter()
        page.fill("[name=feedback]", "kept on the device")
        session.served.stop()
        page.keyboard.press("Control+Enter")
        wait_until(page, "document.querySelector('#alert').textContent.startsWith('Not saved yet')")
        page.close()
        session.served.start()
        session.page = context.new_page()
        session.page.goto(session.served.address)
        session.page.wait_for_selector("#question")
        assert [record.answer for record in session.records()] == [FeedbackAnswer(feedback="kept on the device")]
        assert session.page.input_value("[name=feedback]") == ""


def test_active_time_leaves_out_idle_and_a_resumed_task_counts_once(playwright: Playwright, tmp_path: Path) -> None:
    with (
        browser_context(playwright) as fresh,
        Session(fresh, tmp_path, ask_feedback(1), idle_seconds=20) as session,
    ):
        page = session.page
        page.clock.install(time=0)
        page.clock.pause_at(1_000)
        session.enter()

        def work(seconds: int) -> None:
            for _ in range(seconds):
                page.clock.run_for(1000)
                page.keyboard.press("Shift")

        work(10)
        page.clock.run_for(100_000)  # away: counts 20 s and no more
        page.keyboard.press("Shift")
        page.reload()
        page.wait_for_selector("#question")
        work(45)
        # The wall clock jumps by a year, as a laptop's may: no time is read from it.
        page.evaluate("Date.now = () => 4e12")
        page.fill("[name=feedback]", "in two sittings")
        page.keyboard.press("Control+Enter")
        page.clock.run_for(1000)
        page.wait_for_selector(".finished")
        (record,) = session.records()
        assert record.seconds_active == pytest.approx(30 + 45, abs=0.5)
        assert record.seconds_open == pytest.approx(110 + 45, abs=0.5)


def test_outputs_are_inert_and_shown_byte_for_byte(context: BrowserContext, tmp_path: Path) -> None:
    chat = Passage(kind="messages", messages=(Message(role="user", content=HOSTILE), Message(role="x", content="y")))
    texts = [
        Passage(text=HOSTILE),
        Passage(text=HEBREW),
        Passage(text=CODE, kind="code", language="python", results="2 passed <b>, 1 failed"),
        chat,
        Passage(text="  two  spaces\n\n\tand a tab \u200b🚀"),
    ]
    with Session(context, tmp_path, [show(texts)]) as session:
        page = session.enter()
        page.wait_for_timeout(300)
        assert page.title() == "trial"
        assert page.locator("main img, main script, main a, main b").count() == 0
        shown = page.eval_on_selector_all("main .output .text", "all => all.map(each => each.textContent)")
        assert sorted(shown) == sorted([HOSTILE, HEBREW, CODE, HOSTILE, "y", texts[-1].text])
        found = page.eval_on_selector_all(
            "main .output .text",
            """all => all.map(each => [each.textContent, each.dir, getComputedStyle(each).whiteSpaceCollapse,
                               getComputedStyle(each).direction])""",
        )
        styles = {text: (direction, space, computed) for text, direction, space, computed in found}
        assert styles[HEBREW] == ("auto", "preserve", "rtl")
        assert styles[CODE] == ("ltr", "preserve", "ltr")
        assert page.inner_text("main .results pre") == "2 passed <b>, 1 failed"
        assert page.inner_text("main .code-comment") == "# the sum"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_no_request_leaves_the_machine(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, [*ask_feedback(1), show([Passage(text=HOSTILE)])]) as session:
        asked: list[str] = []
        session.page.on("request", lambda request: asked.append(request.url))
        page = session.enter()
        page.fill("[name=feedback]", HOSTILE)
        page.keyboard.press("Control+Enter")
        session.saved()
        page.keyboard.press("h")
        page.wait_for_selector("#history-list button")
        assert len(asked) > 10
        assert [url for url in asked if not url.startswith((session.served.address, "data:"))] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_to_complain_about(playwright: Playwright, tmp_path: Path, theme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    results = Passage(text=CODE, kind="code", language="python", results="1 passed")
    items = [
        show([results, Passage(text=HEBREW), Passage(text="plain")]),
        *ask_feedback(1),
        *ask_order(1),
        *ask_incorporated(1),
    ]
    with (
        browser_context(playwright, viewport={"width": width, "height": 800}, color_scheme=theme) as sized,
        Session(sized, tmp_path, items, classes=("Coverage",)) as session,
    ):
        page = session.enter(read=False)
        faults = {}

        def look(name: str) -> None:
            found = axe.Axe().run(page).response["violations"]
            if found:
                faults[name] = [(each["id"], [node["target"] for node in each["nodes"]][:3]) for each in found]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"

        look("instructions")
        page.click("#instructions-close")
        for kind, keys in [("rank", "123"), ("feedback", "n"), ("compare", "1"), ("incorporated", "y")]:
            page.wait_for_selector(f".task.{kind}")
            for key in keys:
                page.keyboard.press(key)
            if kind == "incorporated":
                page.keyboard.press("d")
                page.wait_for_selector(".changes")
            look(kind)
            page.keyboard.press("Control+Enter")
        page.wait_for_selector(".finished")
        for key, dialog in [("h", "history"), ("?", "help")]:
            page.keyboard.press(key)
            page.wait_for_selector(f"#{dialog}[open]")
            look(dialog)
            page.keyboard.press("Escape")
        assert faults == {}


def test_the_page_speaks_the_annotators_language(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_order(1)) as session:
        page = session.enter(language="de")
        assert page.inner_text("#question") == "Welche Ausgabe ist besser?"
        assert page.get_attribute("html", "lang") == "de"
        page.select_option("#language", "en")
        wait_until(page, "document.querySelector('#question')?.textContent === 'Which output is better?'")


def test_new_instructions_come_up_before_the_next_task(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_order(2)) as session:
        page = session.enter()
        session.served.database.do(add_guidelines, "Be fairer than before.")
        page.keyboard.press("1")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#instructions[open]")
        assert page.inner_text("#instructions-text") == "Be fairer than before."
        page.click("#instructions-close")
        wait_until(page, "document.querySelector('#counts').textContent === '1 done, 1 left'")
        page.keyboard.press("1")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(".finished")
        assert [record.guideline_version for record in session.records()] == [1, 2]


def test_a_link_that_ends_is_said_and_keeps_what_was_typed(context: BrowserContext, tmp_path: Path) -> None:
    with Session(context, tmp_path, ask_feedback(1)) as session:
        page = session.enter()
        page.fill("[name=feedback]", "typed before the link ended")
        page.wait_for_timeout(800)
        link = session.served.link()  # a new link ends the old one
        page.keyboard.press("Control+Enter")
        wait_until(page, "document.querySelector('main').textContent.includes('link has ended')")
        page.goto(link)
        page.wait_for_selector("#question")
        assert page.input_value("[name=feedback]") == "typed before the link ended"


def test_other_peoples_answers_stand_beside_a_disputed_item(context: BrowserContext, tmp_path: Path) -> None:
    item = ask_order(1)[0]
    first, second = item.candidate_ids
    opinions = tuple(RankingAnswer(kind="compare", ranks={first: a, second: 3 - a}) for a in (1, 2))
    with Session(context, tmp_path, [item.model_copy(update={"opinions": opinions})]) as session:
        page = session.enter()
        texts = page.locator(".opinions li").all_inner_texts()
        assert sorted(texts) == ["Answer 1 A: 1, B: 2", "Answer 2 A: 2, B: 1"] or sorted(texts) == [
            "Answer 1 A: 2, B: 1",
            "Answer 2 A: 1, B: 2",
        ]
