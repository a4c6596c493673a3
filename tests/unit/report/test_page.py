import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch

from sqwirrel.cli import screen
from sqwirrel.infer import Check
from sqwirrel.report.content import content
from sqwirrel.report.pages import answer as page

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it
SECTIONS = ["measured", "parameters", "checks", "maps", "cuts", "corner", "basins", "record", "papers"]


class Tags(HTMLParser):
    """Every tag with its attributes, and whether tags nest."""

    def __init__(self, text):
        super().__init__()
        self.all, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_has_every_section_and_needs_nothing_from_outside(good, tmp_path):
    text = page.write(tmp_path, good).read_text(encoding="utf-8")
    tags = Tags(text)
    assert tags.open == []
    assert [attrs["id"] for tag, attrs in tags.all if tag == "section"] == SECTIONS
    assert {tag for tag, _ in tags.all}.isdisjoint({"script", "link", "iframe", "object"})
    images = [attrs for tag, attrs in tags.all if tag == "img"]
    assert len(images) == 4 + 6 + 1  # maps, cuts, corner
    assert all(attrs["src"].startswith("data:image/svg+xml;base64,") and attrs["alt"] for attrs in images)
    assert "url(" not in text
    assert "@import" not in text
    links = [attrs["href"] for tag, attrs in tags.all if tag == "a"]
    assert links == ["https://doi.org/10.1/x", "https://arxiv.org/abs/1507.02646"]


def test_the_verdict_comes_first_and_the_failed_check_with_it(good, bad, capsys):
    verdicts = [content(result)["verdict"] for result in (good, bad)]
    assert re.fullmatch(r"J = -\d\.\d+\(\d+\) meV; all 2 checks passed\.", verdicts[0])
    assert verdicts[1].startswith("No answer: the model does not describe these data (fit). The best it can do, with ")
    weak = replace(
        bad.posterior, checks=(Check("predictive", False, 9.0, "misfit"),), widening=torch.tensor([1.5, 1.0])
    )
    said = content(replace(bad, posterior=weak))
    assert said["verdict"].startswith("1 of 1 checks failed (residuals like noise); with that in mind: J = ")
    assert said["verdict"].endswith("; the errors are statistical and do not cover the misfit.")
    thin = replace(weak, checks=(Check("effective_draws", False, 5.9, "draws"),))
    few = "Intervals rest on 6 effective draws, and are none: ask for more ([infer] draws)."
    assert content(replace(bad, posterior=thin))["verdict"].endswith(few)
    screen.print_answer(thin)
    assert few in capsys.readouterr().out
    assert "misfit widens" in page.html(said, bad)
    assert "× 1.5" in page.html(said, bad)
    assert [check["passed"] for check in content(bad)["checks"]] == [False, True]


def test_json_says_the_same(good, tmp_path):
    page.write(tmp_path, good)
    said = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert said == json.loads(json.dumps(content(good)))
    exchange = said["parameters"][0]
    assert exchange["truth"] == -1.0
    half = (exchange["interval68"][1] - exchange["interval68"][0]) / 2
    assert exchange["pull"] == pytest.approx((exchange["median"] + 1.0) / half)
    assert said["measured"]["bins_unmeasured"] == 27  # 9 points, 3 energies left out
    assert said["fixed"] == {"scale": 50.0, "background": 2.0}


def test_truth_is_shown_only_if_it_is_known(good, bad):
    assert "truth" in page.html(content(good), good)
    assert "pull" not in page.html(content(bad), bad)


def test_words_from_outside_are_escaped(good):
    assert "how &lt;well&gt; it fits" in page.html(content(good), good)
