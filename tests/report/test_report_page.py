"""The page: complete, escaped, self-contained; then as a browser sees it."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from result_samples import campus, small

from tinyloc.errors import OutputError
from tinyloc.judge import result as r
from tinyloc.judge.budget import kilobytes
from tinyloc.report import page, words

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
EVIL = "<script>alert(1)</script>"


def _evil() -> r.Result:
    rooms = (EVIL, '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a" * 90)
    base = small(rooms)
    data = {"name": EVIL, "description": EVIL, "licence": EVIL, "citation": EVIL, "simulated": True}
    return small(
        rooms,
        command=f"tinyloc run --data '{EVIL}'",
        versions={EVIL: EVIL},
        data=base.data.model_copy(update=data),
        model=base.model.model_copy(update={"options": {EVIL: EVIL}}),
        timeline=tuple(s.model_copy(update={"session": EVIL}) for s in base.timeline),
        device=base.device.model_copy(
            update={"identical_windows": 1, "board_title": EVIL, "first_difference": f"window 3: {EVIL}"}
        ),
    )


def _seeds() -> r.Result:
    base = small()
    seeds = tuple(
        r.Seed(
            seed=n,
            validation_f1=0.9,
            f1_macro=base.f1_macro,
            accuracy=base.accuracy,
            identical_windows=9,
            windows=9,
            forest300_f1_macro=0.78,
        )
        for n in range(1, 6)
    )
    return small(seeds=seeds, seeds_summary=r.summarise_seeds(seeds))


class _Balance(HTMLParser):
    """Counts elements left open, and gathers tags and addresses."""

    VOID = frozenset(("meta", "link", "br", "img", "rect", "path"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def _parse(text: str) -> _Balance:
    parser = _Balance()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


@pytest.mark.parametrize("make", [small, campus, _evil, _seeds])
def test_the_page_is_whole_and_fetches_nothing(make: Any) -> None:
    text = page.render(make())
    tags = _parse(text)
    assert tags.addresses == ["data:,"]
    assert not {"script", "iframe", "object", "img"} & set(tags.tags)
    assert tags.tags.count("h1") == 1
    assert not re.search(r"https?://|@import|url\(", text)
    assert page.render(make()) == text


def test_names_are_escaped_everywhere() -> None:
    text = page.render(_evil())
    assert "<script" not in text
    assert "<img" not in text
    assert "{{ 7 * 7 }}" in text
    assert text.count("&lt;script&gt;") > 10


def test_what_the_page_must_say() -> None:
    result = small()
    text = page.render(result)
    for word in (
        "It fits, and the chip answers exactly as Python does.", "CC BY 4.0", "Rooms of a Flat",
        "tinyloc run --data flat", "zero wait states", "QEMU 7.2.17", "numpy 2.3.1",
        words.percent(result.f1_macro.device), words.percent(result.baselines.forest300.f1_macro),
        kilobytes(result.memory.flash_bytes), kilobytes(result.memory.ram_bytes),
        words.count(result.instructions.step), words.changes(result),
    ):  # fmt: skip
        assert word in text, word
    assert "Simulated" not in text
    assert "Over 5 seeds" in page.render(_seeds())
    assert "Simulated data" in page.render(_evil())
    assert "A simpler method is more accurate here" in page.render(campus())


def test_windows_without_order_have_no_timeline() -> None:
    assert "Along the test recordings" in page.render(small())
    assert "Along the test recordings" not in page.render(campus())


@pytest.mark.parametrize("K", [2, 12, 13, 30, 60])
def test_any_number_of_rooms(K: int) -> None:
    text = page.render(small([f"room {k}" for k in range(K)]))
    _parse(text)
    assert ('class="heat"' in text) == (K > 12)


def test_a_bare_result_makes_a_page() -> None:
    base = small()
    bare = small(
        baselines=r.Baselines(forest300=r.Forest(f1_macro=0.5, accuracy=0.5)),
        room_changes=None,
        timeline=(),
        versions={},
        energy=r.Energy(step_uj=base.energy.step_uj),
        device=base.device.model_copy(update={"tiers": ()}),
        model=base.model.model_copy(update={"options": {}}),
    )
    _parse(page.render(bare))


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    page.write(small(), tmp_path / "index.html")
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        page.write(small(), tmp_path / "file" / "index.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    with playwright.sync_playwright() as runner:
        chromium = runner.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def _open(
    browser: Any, result: r.Result, folder: Path, width: int, height: int, scheme: str = "light"
) -> Any:
    path = folder / "index.html"
    page.write(result, path)
    view = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    view.complaints = []
    view.on("console", lambda message: view.complaints.append(message.text))
    view.on("pageerror", lambda error: view.complaints.append(str(error)))
    view.on("request", lambda request: view.complaints.append(request.url) if request.url != path.as_uri()
            and not request.url.startswith("data:") else None)  # fmt: skip
    view.goto(path.as_uri())
    return view


@pytest.mark.browser
@pytest.mark.parametrize("make", [small, campus, _evil, _seeds])
@pytest.mark.parametrize(("width", "height"), [(360, 640), (768, 1024), (1280, 720)])
def test_it_fits_every_screen(browser: Any, tmp_path: Path, make: Any, width: int, height: int) -> None:
    view = _open(browser, make(), tmp_path, width, height)
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    heading = view.locator("h1").bounding_box()
    assert heading["y"] + heading["height"] < height / 2
    assert view.complaints == []
    view.close()


def _noisy() -> r.Result:
    """As the simulated house: every notice of a good run, and large counts."""
    base = small()
    return small(
        data=base.data.model_copy(update={"name": "house", "simulated": True,
                                          "description": "Simulated: 4 rooms on one floor."}),
        room_changes=r.RoomChanges(true=80, predicted=437),
        f1_macro=base.f1_macro.model_copy(update={"device": 0.5}),
        instructions=r.Instructions(step=17_942_123, window=358_842_460),
    )  # fmt: skip


@pytest.mark.browser
def test_figures_come_before_warnings_and_above_the_fold(browser: Any, tmp_path: Path) -> None:
    view = _open(browser, _noisy(), tmp_path, 360, 800)
    assert view.locator(".notice").count() == 3
    tiles = view.locator(".tiles").bounding_box()
    assert tiles["y"] + tiles["height"] <= 700
    assert view.locator(".notice").first.bounding_box()["y"] >= tiles["y"] + tiles["height"]
    view.close()


BROKEN = """() => [...document.querySelectorAll('td:not(.words), .range, .big')].filter(cell => {
  const range = document.createRange();
  return [...cell.childNodes].filter(node => node.nodeType === 3 && node.data.trim()).some(node => {
    range.selectNodeContents(node);
    return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1; }); })
  .map(cell => cell.textContent)"""


@pytest.mark.browser
@pytest.mark.parametrize("make", [small, campus, _seeds, _noisy])
def test_no_number_is_broken_and_wide_tables_scroll_in_their_box(
    browser: Any, tmp_path: Path, make: Any
) -> None:
    view = _open(browser, make(), tmp_path, 360, 800)
    assert view.evaluate(BROKEN) == []
    assert view.evaluate("document.documentElement.scrollWidth") <= 360
    assert view.evaluate("[...document.querySelectorAll('table')].every(t => t.closest('.scroll'))")
    view.close()


def test_simulated_is_said_once_where_the_data_are_named() -> None:
    text = page.render(_noisy())
    assert "<bdi>house</bdi>: Simulated: 4 rooms" in text
    assert "simulated: Simulated" not in text


LUMINANCE = """selectors => selectors.map(selector => {
  const light = text => { const c = text.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * c[0] + .7152 * c[1] + .0722 * c[2]; };
  const element = document.querySelector(selector);
  let behind = element;
  while (/rgba\\(0, 0, 0, 0\\)|transparent/.test(getComputedStyle(behind).backgroundColor))
    behind = behind.parentElement;
  const pair = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)];
  return (Math.max(...pair) + .05) / (Math.min(...pair) + .05); })"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Any, tmp_path: Path, scheme: str) -> None:
    view = _open(browser, _evil(), tmp_path, 1280, 720, scheme)
    selectors = [
        "h1", ".lead", ".eyebrow", ".badge", ".notice.bad strong", ".notice.warn strong", ".notice p",
        ".tiles dt", "thead th",
        "th small", ".best", ".axis span", ".key li", ".range", "footer p", "pre code",
    ]  # fmt: skip
    ratios = dict(zip(selectors, view.evaluate(LUMINANCE, selectors), strict=True))
    assert min(ratios.values()) >= 4.5, ratios
    view.close()


@pytest.mark.browser
def test_it_prints(browser: Any, tmp_path: Path) -> None:
    view = _open(browser, small(), tmp_path, 1280, 720, "dark")
    dark = view.evaluate("getComputedStyle(document.body).backgroundColor")
    view.emulate_media(media="print")
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)" != dark
    view.set_viewport_size({"width": 680, "height": 900})
    assert view.evaluate("document.documentElement.scrollWidth") <= 680
    pdf = view.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 6
    assert view.complaints == []
    view.close()


@pytest.mark.browser
def test_figures_have_names_for_those_who_do_not_see_them(browser: Any, tmp_path: Path) -> None:
    view = _open(browser, campus(), tmp_path, 1280, 720)
    assert view.evaluate(
        "[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label') || s.ariaHidden)"
    )
    assert view.evaluate("[...document.querySelectorAll('table')].every(t => t.caption && t.tHead)")
    assert view.evaluate("[...document.querySelectorAll('th')].every(t => t.scope)")
    view.close()
