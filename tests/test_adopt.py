"""Networks in somebody's own clone, made methods: stand-ins of the shapes that the field's repositories have."""

import json
import sys
from argparse import ArgumentParser, Namespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from irstd.apps import adopting, trying
from irstd.config import params
from irstd.errors import InputError
from irstd.inference import weights
from irstd.inference.half import restored
from irstd.methods import Step, _adopted
from irstd.methods._adopted import Foreign, Options
from tests import standins


@pytest.fixture
def clones(tmp_path):
    return standins.clones(tmp_path)


def explored(folder, file, name, arguments=(), call=(), **said):
    foreign = Foreign(str(folder), file, name, arguments, call)
    wanted = {"channels": None, "outputs": None, "final": None} | said
    return trying.explore(foreign, **wanted)


def test_a_plain_u_net_with_logits(clones):
    foreign, words = explored(clones["plain"], "model/unet.py", "PlainUNet", [4])

    assert (foreign.channels, foreign.outputs, foreign.tested, foreign.multiple) == (1, "logits", None, 4)
    assert foreign.unused == frozenset()
    assert words[:2] == ["1 channel", "sides a multiple of 4 px"]


def test_a_list_of_deeply_supervised_probabilities(clones):
    given = {"in_channels": 3, "width": 4}
    foreign, words = explored(clones["deep"], "model/net.py", "DeepNet", given, [False])

    assert (foreign.channels, foreign.outputs, foreign.final, foreign.multiple) == (3, "probabilities", -1, 1)
    assert foreign.unused == {"idle.weight", "idle.bias"}
    assert "the prediction is map 1 of 0 to 1" in words


def test_two_channels_of_three_channel_images_softmax_only_when_tested(clones):
    foreign, words = explored(clones["soft"], "model/seg.py", "TwoClasses")
    method = _adopted.adopted("", "", foreign)
    torch.manual_seed(0)
    network = method.build(Options(mean=0.4, deviation=0.1))
    image = torch.rand(2, 1, 16, 24)

    assert (foreign.channels, foreign.outputs, foreign.tested) == (3, "logits", "probabilities")
    assert "1 map while it trains, two channels, logits" in words
    network.eval()
    given = ((image - 0.4) / 0.1).expand(-1, 3, -1, -1)
    with torch.no_grad():
        score = method.decode(network(image), Options()).score
        torch.testing.assert_close(score, network.network(given)["out"][:, 1:], atol=2e-6, rtol=0)


def test_logits_that_begin_between_0_and_1_are_no_probabilities(clones):
    file = clones["plain"] / "model/unet.py"
    file.write_text(
        standins.LOGITS.replace(
            "self.head =",
            "self.head = nn.Conv2d(width, 1, 1)\n        nn.init.zeros_(self.head.weight)\n        nn.init.constant_(self.head.bias, 0.5)\n        self.other =",
        )
    )

    foreign, _ = explored(clones["plain"], "model/unet.py", "PlainUNet")

    assert (foreign.outputs, foreign.tested) == ("logits", None)


def test_two_clones_with_packages_of_one_name_do_not_mix_and_leave_nothing(clones):
    before = dict(sys.modules)
    nets = []
    for folder, file, name in (("plain", "model/unet.py", "PlainUNet"), ("soft", "model/seg.py", "TwoClasses")):
        nets.append(_adopted.built(Foreign(str(clones[folder]), file, name))[0])

    assert isinstance(nets[0].a[2], torch.nn.ReLU) and isinstance(nets[1].body[2], torch.nn.Tanh)
    assert {name for name in set(sys.modules) - set(before) if name.startswith("model")} == set()
    assert not list(clones["plain"].rglob("__pycache__"))


def test_the_loss_is_soft_iou_and_cross_entropy_by_hand(clones):
    foreign, _ = explored(clones["plain"], "model/unet.py", "PlainUNet")
    method = _adopted.adopted("", "", foreign)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0, 0] = 1

    by_logits = method.loss((torch.zeros(1, 1, 4, 4),), mask, Step(0, 1, 0), Options())

    # At scores of one half: 1 - (0.5 + 1) / (8 + 1 - 0.5 + 1), and ln 2.
    assert by_logits.item() == pytest.approx(1 - 1.5 / 9.5 + 0.693147, abs=1e-5)


def test_a_clone_that_changed_is_named_and_not_used(clones):
    foreign, _ = explored(clones["plain"], "model/unet.py", "PlainUNet")
    (clones["plain"] / "model/blocks.py").write_text(standins.BLOCKS.replace("nn.ReLU()", "nn.GELU()"))

    with pytest.raises(InputError, match="or a file that it imports, has changed since PlainUNet was adopted"):
        _adopted.Adopted(foreign, Options())


@pytest.mark.parametrize(
    ("word", "arguments", "call", "words"),
    [
        ("plain:PlainUnet", [], [], "defines 'PlainUnet'; did you mean 'PlainUNet'?"),
        ("nowhere:Net", [], [], "nowhere does not exist"),
        ("plain", [], [], "'plain' is no PLACE:CLASS"),
        ("plain:PlainUNet", {"depth": 3}, [], "PlainUNet cannot be built so"),
        ("deep:DeepNet", [1, 4], [], "takes none of the images tried"),
        ("plain/model/blocks.py:block", [1, 4], [], "no map of one or two channels"),
    ],
)
def test_what_cannot_be_adopted_is_said(clones, monkeypatch, word, arguments, call, words):
    monkeypatch.chdir(next(iter(clones.values())).parent)

    with pytest.raises(InputError) as error:
        explored(*adopting.place(word), arguments, call)

    assert words in str(error.value)


def test_imports_may_begin_in_a_folder_of_the_clone(tmp_path):
    (tmp_path / "repo/.git").mkdir(parents=True)
    inner = standins.clone(tmp_path / "repo/code", "unet", standins.LOGITS)
    root, file, name = adopting.place(f"{inner}/model/unet.py:PlainUNet")
    assert (root, file) == (tmp_path / "repo", "code/model/unet.py")

    made, found = adopting._explored(Foreign(str(root), file, name), lambda one: trying.explore(one, None, None, None))

    assert (made.root, made.file) == (str(inner), "model/unet.py")
    assert found[0] == "its imports begin in code"
    (inner / "model/unet.py").write_text("import nowhere_at_all\n" + standins.LOGITS)
    with pytest.raises(InputError, match=r"unet\.py needs 'nowhere_at_all', which is not installed"):
        adopting._explored(Foreign(str(root), file, name), lambda one: trying.explore(one, None, None, None))


def test_a_clone_without_git_begins_where_its_imports_do_or_a_known_file_lies(clones, tmp_path):
    """As archives of a repository are."""
    assert adopting.place(f"{clones['plain']}/model/unet.py:PlainUNet") == (
        clones["plain"],
        "model/unet.py",
        "PlainUNet",
    )
    assert adopting.place(f"{clones['deep']}/model/net.py:DeepNet")[0] == clones["deep"] / "model"  # imports a sibling

    known = next(row for row in adopting.networks() if "/" in row["file"])
    file = tmp_path / "archive-main" / known["file"]
    file.parent.mkdir(parents=True)
    file.write_text(f"import {file.stem}\nclass {known['name']}: ...\n")
    assert adopting.place(f"{file}:{known['name']}") == (tmp_path / "archive-main", known["file"], known["name"])


def test_what_is_wrong_where_imports_begin_is_what_is_said(tmp_path):
    (tmp_path / "repo/.git").mkdir(parents=True)
    inner = standins.clone(
        tmp_path / "repo/src", "unet", standins.LOGITS.replace("def __init__(self", "def __init__(self, classes")
    )
    root, file, name = adopting.place(f"{inner}/model/unet.py:PlainUNet")

    with pytest.raises(InputError, match=r"PlainUNet cannot be built so .*classes"):
        adopting._explored(Foreign(str(root), file, name), lambda one: trying.explore(one, None, None, None))


def test_a_function_of_a_folder_is_found(clones):
    assert adopting.place(f"{clones['plain']}:block") == (clones["plain"], "model/blocks.py", "block")


def test_published_weights_are_taken_without_running_code_and_predict(clones, tmp_path):
    torch.manual_seed(3)
    foreign, _ = explored(clones["plain"], "model/unet.py", "PlainUNet", [4])
    authors = _adopted.Adopted(foreign, Options()).network
    wrapped = {f"module.{name}": one for name, one in authors.state_dict().items()} | {
        "module.total_ops": torch.ones(1)
    }
    best = np.mean([0.5, 0.75])  # as MSHNet keeps beside them
    torch.save({"epoch": 7, "iou": best, "loss": np.float32(0.5), "state_dict": wrapped}, tmp_path / "best.pth.tar")
    given = Namespace(name="plain_u_net", weights=tmp_path / "best.pth.tar", trained_on="nuaa-sirst")
    mean = {"mean": 0.25, "deviation": 0.5}
    (tmp_path / "w.safetensors").write_bytes(adopting._packed(given, foreign, mean))

    label = weights.read_label(tmp_path / "w.safetensors")
    state = restored(load_file(tmp_path / "w.safetensors"))
    network = _adopted.Adopted(foreign, Options(**label.options)).eval()
    network.load_state_dict(state)

    assert (label.dataset, label.budget, label.options) == ("nuaa-sirst", "its authors'", mean)
    image = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(image)[0], authors.eval()((image - 0.25) / 0.5), atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize(
    ("asked", "row", "channels", "options", "words"),
    [
        ([], {}, 1, {"mean": 0.0, "deviation": 1.0}, ""),
        (["--mean", "[0.1, 0.2, 0.3]"], {"normalise": "imagenet"}, 3, {"mean": [0.1, 0.2, 0.3], "deviation": 1.0}, ""),
        ([], {"normalise": "imagenet"}, 3, adopting.IMAGENET, "normalised by ImageNet's mean and deviation"),
        # BasicIRSTD: 107.80905 and 33.02275 of 255.
        (["--trained-on", "nudt-sirst"], {"normalise": "dataset"}, 1, {"mean": 0.42278, "deviation": 0.12952},
         "normalised by mean and deviation of nudt-sirst"),
        ([], {"normalise": "dataset"}, 1, {"mean": 0.0, "deviation": 1.0}, "here images are from 0 to 1 unless --mean"),
    ],
)  # fmt: skip
def test_what_the_network_is_given_is_asked_for_or_its_authors(asked, row, channels, options, words):
    parser = ArgumentParser()
    adopting.add(parser.add_subparsers())
    given = parser.parse_args(["adopt", "x:Y", *asked])

    found, said = adopting.normalisation(given, row, channels)

    assert found == options and words in "".join(said)


def test_each_channel_has_its_own_mean(clones):
    foreign, _ = explored(clones["soft"], "model/seg.py", "TwoClasses")
    method = _adopted.adopted("", "", foreign)
    options = params.check(Options, {"mean": [0.1, 0.2, 0.3], "deviation": [0.5, 1.0, 2.0]}, "options")
    network = method.build(options).eval()
    image = torch.rand(2, 1, 16, 24)

    with torch.no_grad():
        given = torch.cat([(image - 0.1) / 0.5, image - 0.2, (image - 0.3) / 2], 1)
        expected = network.network(given)["out"][:, 1:]
        torch.testing.assert_close(method.decode(network(image), options).score, expected, atol=2e-6, rtol=0)
    with pytest.raises(InputError, match="mean has 2 numbers, and TwoClasses takes 3 channels"):
        method.build(Options(mean=(0.1, 0.2)))


class Runs:
    """Code in a pickle."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('run')",))


@pytest.mark.parametrize(
    ("held", "dataset", "words"),
    [
        ({"state_dict": Runs()}, "nuaa-sirst", "holds more than tensors, or is damaged, and is not run"),
        ({"a.0.weight": torch.ones(1)}, "nuaa-sirst", "it is not of this PlainUNet"),
        ({}, None, "--trained-on is missing"),
    ],
)
def test_weights_that_are_not_its_own_are_refused(clones, tmp_path, held, dataset, words):
    foreign, _ = explored(clones["plain"], "model/unet.py", "PlainUNet", [4])
    torch.save(held, tmp_path / "best.pth")
    given = Namespace(name="x", weights=tmp_path / "best.pth", trained_on=dataset)

    with pytest.raises(InputError) as error:
        adopting._packed(given, foreign, {"mean": 0.0, "deviation": 1.0})

    assert words in str(error.value)


def test_facts_on_public_repositories_are_whole():
    rows = adopting.networks()

    assert len(rows) == len({(r["repository"], r["network"]) for r in rows}) == 30
    for row in rows:
        assert row["file"].endswith(".py") and row["name"].isidentifier() and len(row["commit"]) == 12
        assert isinstance(json.loads(row["arguments"] or "[]"), (list, dict))
        assert isinstance(json.loads(row["call"] or "[]"), list)
