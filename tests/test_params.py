"""params.yaml: what is wrong in it is said in one sentence, with its full path."""

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from irstd import methods
from irstd.config import params
from irstd.errors import InputError, hint
from pipelines.lookup import network_of
from tests.conftest import ROOT

MISTAKES = [
    (
        "{ epochs: 8,",
        "{ epoch: 8,",
        "params.yaml: method.ggl_net.budgets.quick: unknown key 'epoch'; did you mean 'epochs'?",
    ),
    (
        "batch: 16",
        "batch: many",
        'params.yaml: method.ggl_net.recipe.batch: input should be a valid integer, but it is "many"',
    ),
    (
        "batch: 16",
        "batch: 0",
        "params.yaml: method.ggl_net.recipe.batch: input should be greater than or equal to 1, but it is 0",
    ),
    ("  device: auto", "  devise: auto", "params.yaml: train: unknown key 'devise'; did you mean 'device'?"),
    ("  repeats: 10 # timed runs; the median counts\n", "", "params.yaml: cost: the key 'repeats' is missing; add it"),
    (
        "budget: night",
        "budget: nigt",
        "params.yaml: dataset.nuaa-sirst.budget: method.ggl_net.budgets has no 'nigt'; did you mean 'night'?",
    ),
    (
        "methods: [ggl_net, point_regression, gaussian_pinwheel]",
        "methods: [gglnet]",
        "params.yaml: `method` has no entry 'gglnet'; did you mean 'ggl_net'?",
    ),
    (
        "datasets: [synthetic,",
        "datasets: [syntetic,",
        "params.yaml: `dataset` has no entry 'syntetic'; did you mean 'synthetic'?",
    ),
    (
        "train: 96",
        "trian: 96",
        "params.yaml: dataset.synthetic.source.scenes: unknown key 'trian'; did you mean 'train'?",
    ),
    (
        "source: catalogue",
        "source: catalog",
        "params.yaml: dataset.nuaa-sirst.source: input should be 'catalogue', but it is \"catalog\"",
    ),
    ("\nseeds: [0]", "\nseeds: 0", "params.yaml: seeds: input should be a valid array, but it is 0"),
    (
        "validation: 0.15",
        "validation: 1.5",
        "params.yaml: dataset.synthetic.validation: input should be less than 1, but it is 1.5",
    ),
    ("train:\n  device", "train: [\n  device", "params.yaml: line {line} is not YAML; fix it there"),
]


@pytest.fixture
def text(root):
    return (root / "params.yaml").read_text()


def in_full(text):
    """params.yaml with the whole recipe for all real datasets."""
    return re.sub(r"budget: (cpu|night)(-\d+)?", "budget: full", text)


def test_the_file_in_the_repository_is_right(text):
    given = params.parse(text)

    assert set(given.datasets) <= set(given.dataset)
    assert given.recipe("synthetic", "ggl_net").epochs == 8
    full = params.parse(in_full(text))
    assert full.recipe("irstd-1k", "ggl_net").epochs == 400


@pytest.mark.parametrize(("right", "wrong", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence_that_names_its_place(text, right, wrong, sentence):
    assert right in text
    if "{line}" in sentence:
        sentence = sentence.format(line=text.replace(right, wrong, 1).splitlines().index("train: [") + 3)

    with pytest.raises(InputError) as error:
        params.parse(text.replace(right, wrong, 1))

    assert sentence == str(error.value)


def test_options_of_a_method_are_checked_against_its_own():
    options = methods.get("ggl_net").options
    with pytest.raises(InputError) as unknown:
        params.check(options, {"widht": 8}, "method.ggl_net.options")
    with pytest.raises(InputError) as wrong:
        params.check(options, {"gradient": "scharr"}, "method.ggl_net.options")

    assert str(unknown.value) == "params.yaml: method.ggl_net.options: unknown key 'widht'; did you mean 'width'?"
    assert (
        str(wrong.value)
        == "params.yaml: method.ggl_net.options.gradient: input should be 'central', 'sobel' or 'none', but it is \"scharr\""
    )


@pytest.mark.parametrize("value", [0, -1])
def test_options_that_make_no_network_are_named(text, monkeypatch, tmp_path, value):
    (tmp_path / "params.yaml").write_text(text.replace("options: {} # width,", f"options: {{width: {value}}} # width,"))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError) as error:
        network_of(params.load(), "ggl_net")

    start = f"params.yaml: method.ggl_net.options: GGL-Net cannot be built with width {value} ("
    assert str(error.value).startswith(start)
    assert str(error.value).endswith("; change them")


def test_a_method_that_fails_with_its_own_defaults_keeps_its_traceback(text, monkeypatch, tmp_path):
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    broken = replace(methods.get("ggl_net"), build=lambda _options: 1 / 0)
    monkeypatch.setattr(methods, "get", lambda _name: broken)

    with pytest.raises(ZeroDivisionError):
        network_of(params.load(), "ggl_net")


def test_a_weight_without_elements_is_a_methods_own_affair_where_no_option_is_changed(text, monkeypatch, tmp_path):
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    network = nn.ParameterList([torch.zeros(0)])
    empty = replace(methods.get("ggl_net"), build=lambda _options: network)
    monkeypatch.setattr(methods, "get", lambda _name: empty)

    assert network_of(params.load(), "ggl_net") is network


def test_a_budget_changes_the_recipe_and_leaves_the_rest(text):
    given = params.parse(in_full(text))
    quick, full = given.recipe("synthetic", "ggl_net"), given.recipe("irstd-1k", "ggl_net")

    assert (quick.size, full.size) == (64, 256)
    assert quick.geometry == full.geometry == "crop"


def test_a_study_of_a_dataset_that_is_not_run_is_refused(text):
    with pytest.raises(InputError) as error:
        params.parse(text.replace("datasets: [synthetic, nuaa-sirst,", "datasets: [synthetic,", 1))

    assert "studies.labelling.datasets: 'nuaa-sirst' is not in `datasets`; take it out, or add it there" in str(
        error.value
    )


def test_a_row_of_a_study_that_is_run_anyway_is_refused(text):
    with pytest.raises(InputError) as error:
        params.parse(text.replace("methods: [ggl_net,", "methods: [point_regression_mask, ggl_net,", 1))

    assert "studies.labelling.methods: 'point_regression_mask' is in `methods` already" in str(error.value)


def test_oriented_kernels_of_a_network_that_is_not_trained_are_refused(text):
    with pytest.raises(InputError) as error:
        params.parse(text.replace("method: gaussian_pinwheel, seed: 0", "method: gaussian_pinwheel, seed: 3", 1))

    assert "orientation: 'gaussian_pinwheel' is not trained on 'synthetic' with seed 3; name a cell" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError) as error:
        params.load(tmp_path / "params.yaml")

    assert str(error.value) == "params.yaml is missing; run this in the root of the repository"


def test_a_hint_offers_the_nearest_or_all():
    assert [
        hint("epoch", ["batch", "epochs"]),
        hint("zzz", ["batch", "epochs"]),
        hint("zzz", []),
    ] == ["did you mean 'epochs'?", "known are batch, epochs", "known are none"]


def test_an_experiment_can_change_what_the_main_rows_say(tmp_path):
    """Shared anchors would take a change back without a word, since `dvc exp run -S` writes every alias in turn."""
    from dvc.utils.hydra import apply_overrides

    given = params.load(ROOT / "params.yaml")
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    apply_overrides(path, [f"method.{name}.budgets.quick.epochs=77" for name in given.methods])

    changed = params.load(path)
    assert {changed.recipe("synthetic", name).epochs for name in given.methods} == {77}


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ("publish:\n  { datasets: [nuaa-sirst, nudt-sirst, irstd-1k]", "publish:\n  { datasets: [moon]", "publish.datasets: 'moon' is not among `datasets`; add it there, or drop it here"),
        ("in_git: [irstd-1k/gaussian_pinwheel,", "in_git: [irstd-1k/gaussian_pinwhel,", "publish.in_git: 'irstd-1k/gaussian_pinwhel' is not published; did you mean 'irstd-1k/gaussian_pinwheel'?"),
        ("gaussian_pinwheel], seeds: [0],\n", "gaussian_pinwheel], seeds: [3],\n", "publish.seeds: 3 is not among `seeds`"),
    ],
)  # fmt: skip
def test_weights_of_what_is_not_trained_are_refused(text, right, wrong, sentence):
    assert right in text
    with pytest.raises(InputError) as error:
        params.parse(text.replace(right, wrong, 1))

    assert sentence in str(error.value)


def test_a_dataset_of_few_images_takes_its_budget_several_times(text):
    plain, often = (params.parse(text.replace("budget_times: 4", f"budget_times: {times}")) for times in (1, 3))
    once, thrice = (given.recipe("nuaa-sirst", "ggl_net") for given in (plain, often))
    assert thrice.epochs == 3 * once.epochs and thrice.batch == once.batch


def test_a_budget_may_be_another_with_changes(text):
    given = params.parse(text)
    night, cpu = (given.row("ggl_net").budgets[name] for name in ("night", "cpu"))

    assert cpu == night | {"epochs": cpu["epochs"]} and cpu["epochs"] < night["epochs"]
    with pytest.raises(InputError, match=r"ggl_net.budgets.cpu.of: 'nigt' is no budget of this row; did you mean"):
        params.parse(text.replace("cpu: { of: night", "cpu: { of: nigt", 1))
    with pytest.raises(InputError, match=r"ggl_net.budgets.cpu.of: 'cpu' leads back to it"):
        params.parse(text.replace("cpu: { of: night", "cpu: { of: cpu", 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a sentence", "params.yaml is a str, and no keys with values"),
        ("- a\n- b", "params.yaml is a list, and no keys with values"),
        ("seeds: 2020-13-40", "params.yaml cannot be read (month must be in 1..12)"),
        ("seeds: 2020-10-10", "params.yaml: top level: Object of type date is not JSON serializable; give numbers"),
        ("2020-10-10: 3", "params.yaml: top level: keys must be str"),
        ("a: &a\n  b: *a", "params.yaml: top level: Circular reference detected"),
        ("[" * 5000, "params.yaml cannot be read ("),
    ],
)
def test_what_yaml_can_hold_and_parameters_cannot_is_said(text, words):
    with pytest.raises(InputError) as error:
        params.parse(text)
    assert str(error.value).startswith(words)
