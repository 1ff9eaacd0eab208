"""The wording of code and pages: standard terms, as the glossary lists them."""

import ast
import inspect
import re
from pathlib import Path

import skfactorvae
import skfactorvae.base
import skfactorvae.datasets
import skfactorvae.evaluation
import skfactorvae.identification
import skfactorvae.inspection
import skfactorvae.interchange
import skfactorvae.metrics
import skfactorvae.model_selection
import skfactorvae.runtime

ROOT = Path(__file__).parents[1]

ANNEALING = "likelihood annealing: ANNEALING_FRACTION, reconstruction_weight"
INACTIVE = "inactive"
ADVERSARY = "adversarial predictors that penalise information about an attribute"
LAYOUT = "package layout, import rules, core"
PERSON = "a verb of the field: computes, returns, depends on, uses"

WORDS = {
    # Home-made terms of statistics and training.
    r"gamma pays": "gamma improves recovery",
    r"pays? for an? (?:latent|component)": "no latent lowers the loss",
    r"(?:do|does|did) not pay": "does not lower the loss",
    r"charges? (?:the|for)|charged for": "penalises",
    r"price of (?:dependence|information)|kl_price|objective\.price": "kl_weight",
    r"cool|cools|cooled|cooling|coolness|unrolls?|unrolled": ANNEALING,
    r"loud|louder|loudness|_loudness": "informativeness",
    r"by heart": "memorise",
    r"blur|blurs|blurred|blurring|blurred_rows": "instance noise",
    r"surcharges?": "categorical_kl",
    r"companions?|companions_residual|noise_ceiling": "conditional_noise_std",
    r"pace|paces|is_paced": "lr_multiplier, scale_input_lr",
    r"n_aside|batch\.aside|draws\.aside": "auxiliary_noise, n_auxiliary",
    r"effective_rows": "effective_sample_size",
    r"grown(?=\()|_growing": "warmed_up",
    r"enough_input_noise|without_unit|is_mixture|told_by": (
        "default_input_noise, rescale_weights, has_independent_components, "
        "N_TEST_COMPONENTS"
    ),
    r"deception|own_share|squared_slope": (
        "generator_loss, self_weight, gradient_penalty"
    ),
    r"silence|silences|silenced|can_be_silenced|(?:fall|falls|fell|fallen) silent": (
        "set_to_prior, can_set_to_prior; inactive"
    ),
    r"silent (?:latents?|components?|ones?)": INACTIVE,
    r"asleep|idle(?! (?:machine|core))": INACTIVE,
    r"woken|(?:wake|wakes|woke|waking) up": "active; barely trained",
    r"wreck|wrecks|wrecked": "diverged",
    r"anchors|arrange|complaint": "sign_targets, latent_order, convergence_warning",
    r"surprise": "cross_entropy",
    r"second_seen|_dim": "second_discriminator_input, _scaled_draw",
    r"_player|_keeper|_slow_down|_works": (
        "ParameterGroup, Checkpoint, _set_learning_rates, _is_healthy"
    ),
    # Home-made terms of the package.
    r"held_once|computed_once|withdrawn|meeting|meetings|baton|(?-i:Ask)(?=[(\]])": (
        "shared_array, memoized, TaskCancelled, Scheduler, the running thread, "
        "FitRequest"
    ),
    r"contests?": "DiscriminatorPass, run_discriminator",
    r"the hall|torch room|rooms and doors|(?:the|its|each|every) door": LAYOUT,
    r"rooms? (?:may|imports?)": LAYOUT,
    r"essays?": "example",
    # Personification and riddles.
    r"""(?<![."'`])opponents?(?![."'`=(\[])""": ADVERSARY,
    r"bounded confusion": ADVERSARY,
    r"(?:is|are|was|were) told": "is given; is (weakly) supervised",
    r"models? leans?|leanings?": "inductive biases",
    r"nobody|no one": "state the fact",
    r"(?:model|models|network|networks|discriminator|encoder|decoder|scorer|scorers)"
    r" (?:wants?|believes?|pays?|asks?|knows?|says?|sees?|lies)": PERSON,
    r"codes? (?:wants?|believes?|pays?|asks?|knows?|says?|sees?)": PERSON,
    r"(?:data|rows|samples) (?:wants?|believes?|pays?|asks?|knows?)": PERSON,
    r"gives? (?:itself|a fault) away": "shows",
    r"discriminator's verdict": "the discriminator's output",
    r"thrown away": "keep the script, or drop the number",
}
"""Terms that are not used, as regular expressions of whole words, and what to write.

Case does not matter, and a space also stands for the end of a line.
"""

ALLOWED = {
    "docs/maintainers/glossary.md": ".*",  # lists the earlier terms
    "docs/datasets.md": "blur a small sprite",  # images
    "examples/plot_sensors.py": "The door is",  # a column of the data
    "CHANGELOG.md": "`deception`|`own_share`|`squared_slope`",  # names that changed
    "*": "opponent_hidden_layer_sizes|opponent_layer_sizes|opponent_loss",  # public
}
"""Text that may hold such a term, as regular expressions: by file, or in all files."""

SEARCHED = (
    "skfactorvae/**/*.py",
    "skfactorvae/inspection/page/*",
    "docs/*.md",
    "docs/*/*.md",
    "docs/front_figure.py",
    "docs/api/*.rst",
    "examples/*.py",
    "examples/*.md",
    "examples/*.txt",
    "benchmarks/*.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
)
MADE = {"_build", "auto_examples", "generated"}
"""Folders of pages that a build writes."""


def texts():
    """Return code and pages, by path."""
    paths = {path for pattern in SEARCHED for path in ROOT.glob(pattern)}
    return {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for path in sorted(paths)
        if not MADE & {*path.parts}
    }


def pattern_of(term):
    """Match whole words, also where a line ends between two of them."""
    spaced = term.replace(" ", r"[\s#*]+")
    return re.compile(rf"(?<![\w-])(?:{spaced})(?![\w-])", re.I)


def offences(name, text, patterns):
    """Yield a line for each term that a text holds and should not."""
    allowed = ALLOWED.get(name, "")
    if allowed == ".*":
        return
    for part in filter(None, (allowed, ALLOWED["*"])):
        text = re.sub(part, lambda match: "-" * len(match[0]), text)
    for pattern, instead in patterns:
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{name}:{line}: {' '.join(match[0].split())!r} -> {instead}"


def test_terms_are_standard():
    patterns = [(pattern_of(term), instead) for term, instead in WORDS.items()]
    found = [
        offence
        for name, text in texts().items()
        for offence in offences(name, text, patterns)
    ]
    assert not found, "\n".join([f"{len(found)} terms to replace:", *found])


def test_a_term_is_found_across_lines_and_not_inside_words():
    patterns = [(pattern_of("by heart"), "memorise"), (pattern_of("essay"), "example")]
    text = "learned by\n    # heart, an\nessayist, and AN ESSAY"
    found = list(offences("page.md", text, patterns))
    assert found == [
        "page.md:1: 'by # heart' -> memorise",
        "page.md:3: 'ESSAY' -> example",
    ]


def test_every_allowance_is_needed():
    files = texts()
    for name, allowed in ALLOWED.items():
        searched = files.values() if name == "*" else [files[name]]
        for part in allowed.split("|"):
            assert any(re.search(part, text) for text in searched), (name, part)


MODULES = (
    skfactorvae,
    skfactorvae.base,
    skfactorvae.metrics,
    skfactorvae.evaluation,
    skfactorvae.identification,
    skfactorvae.datasets,
    skfactorvae.model_selection,
    skfactorvae.inspection,
    skfactorvae.interchange,
    skfactorvae.runtime,
)
VERBS = {
    "add", "apply", "audit", "build", "check", "choose", "combine", "compare",
    "complete", "compute", "convert", "count", "cut", "declare", "decode", "describe",
    "draw", "edit", "encode", "estimate", "evaluate", "find", "fit", "get", "group",
    "join", "keep", "learn", "list", "load", "make", "mark", "match", "measure", "move",
    "multiply", "normalise", "order", "plot", "predict", "prepare", "print", "read",
    "record", "register", "remove", "render", "report", "return", "run", "sample",
    "scale", "score", "select", "set", "show", "sort", "split", "stack", "standardise",
    "start", "stop", "sum", "test", "train", "transform", "update", "validate", "warn",
    "write",
}  # fmt: skip
"""Imperatives that the docstring of a function may begin with."""

NOUNS = {"fit", "match", "order", "plot", "record", "report", "sample", "score", "test"}
"""Those of them that are nouns as well, with which that of a class may begin."""


def public_members():
    """Return every public class and function, and their own methods, by name."""
    found = {}
    for module in MODULES:
        for name in module.__all__:
            member = getattr(module, name)
            if inspect.isfunction(member) or inspect.isclass(member):
                found[f"{module.__name__}.{name}"] = member
            if inspect.isclass(member):
                found |= {
                    f"{module.__name__}.{name}.{attribute}": value
                    for attribute, value in vars(member).items()
                    if inspect.isfunction(value) and not attribute.startswith("_")
                }
    return {name: member for name, member in found.items() if inspect.getdoc(member)}


def test_a_public_docstring_begins_with_an_imperative_or_a_noun_phrase():
    wrong = []
    for name, member in public_members().items():
        line = inspect.getdoc(member).split("\n\n")[0].replace("\n", " ")
        word = re.match(r"\w*", line)[0].lower()
        if inspect.isfunction(member) and word not in VERBS:
            wrong.append(f"{name} should begin with an imperative: {line!r}")
        if inspect.isclass(member) and (word in VERBS - NOUNS or not word):
            wrong.append(f"{name} should begin with a noun phrase: {line!r}")
    assert not wrong, "\n".join(["First lines to rewrite:", *wrong])


def test_every_docstring_ends_its_first_sentence():
    wrong = []
    for name, text in texts().items():
        if not name.endswith(".py") or name.startswith("examples/"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                doc = ast.get_docstring(node)
                if doc and not doc.split("\n\n")[0].endswith((".", ":")):
                    wrong.append(f"{name}:{node.lineno}: {doc.splitlines()[0]!r}")
    assert not wrong, "\n".join(["First sentences without an end:", *wrong])
