"""The code of the pages runs and prints the documented output."""

import re
from pathlib import Path

import numpy as np
import pytest

from skfactorvae import core

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"(<!-- from \S+ -->\n+)?```python\n(.*?)```(?:\n+```text\n(.*?)```)?", re.S
)


def run(page, capsys):
    """Run a page's code in order; return the printed and expected output by block."""
    names, outcome = {}, []
    for quoted, code, output in BLOCK.findall((ROOT / page).read_text("utf-8")):
        if not quoted:
            exec(compile(code, page, "exec"), names)
            outcome.append((capsys.readouterr().out.strip(), output.strip()))
    return names, outcome


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_first_example_prints_what_the_page_shows(page, capsys):
    """Numbers are rounded differently elsewhere, so that words alone are compared."""
    text = (ROOT / page).read_text("utf-8")
    first = re.compile(r"```python\n(.*?)```\n+```\S* ?\S*\n(.*?)```", re.S)
    code, output = first.search(text).groups()
    exec(compile(code, page, "exec"), {})
    expected = output.strip().removeprefix(":class: wrapped").strip()
    words = [re.sub(r"[\d.]+", "#", s) for s in (capsys.readouterr().out, expected)]
    assert words[0].strip() == words[1] != ""


def test_a_user_defined_objective_is_fitted(capsys):
    names, outcome = run("docs/extending.md", capsys)
    assert len(outcome) == 2
    assert outcome[-1][0] == outcome[-1][1] != ""
    wae = names["wae"]
    assert wae.history_["distance"][-5:].mean() < wae.history_["distance"][:5].mean()
    assert "gamma : float, default=10.0" in type(wae).__doc__


@pytest.mark.slow
def test_a_user_defined_objective_has_at_most_ten_lines(capsys):
    names, _ = run("docs/extending.md", capsys)
    page = (ROOT / "docs/extending.md").read_text("utf-8")
    body = page.split("class WAE(Objective):\n")[1].split("```")[0]
    assert 0 < len([line for line in body.splitlines() if line.strip()]) <= 10
    assert names["WAE"](gamma=1.0).structure == {}


def test_the_published_cells_are_simulated_as_documented(capsys):
    _, outcome = run("docs/evidence/published.md", capsys)
    assert len(outcome) == 1
    assert outcome[0][0] == outcome[0][1] != ""


PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("docs/[!_]*/*.md")),
]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_are_valid(path):
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text("utf-8"))
    assert [t for t in targets if not (path.parent / t).exists()] == []


def test_a_user_defined_model_in_a_stack_equals_the_model_alone(capsys):
    """The models have different widths, so that one of them is padded."""
    names, _ = run("docs/extending.md", capsys)
    rows = np.random.default_rng(0).normal(size=(60, 5))
    schedule = core.Schedule(max_iter=20, batch_size=16, learning_rate=1e-2, warmup=0.2)
    jobs = [
        core.Job(
            network=core.MLP(5, n_components, (8,), "relu", linear_path=False),
            likelihood=core.Gaussian("feature"),
            objective=names["WAE"](gamma=gamma),
            rows=rows,
            row_weights=np.ones(60),
            seed=0,
        )
        for n_components, gamma in ((2, 1.0), (4, 20.0))
    ]
    device = core.resolve_device("cpu")
    together = core.fit_stack(jobs, schedule, device=device)
    for job, stacked in zip(jobs, together, strict=True):
        (alone,) = core.fit_stack([job], schedule, device=device)
        for name, weight in alone.weights.items():
            np.testing.assert_allclose(weight, stacked.weights[name], atol=1e-9)
