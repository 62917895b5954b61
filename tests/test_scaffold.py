"""A new method: what `irstd new-method` writes, and that it works as it stands."""

import subprocess
import sys

import pytest

from irstd.apps import scaffold
from irstd.config import params
from irstd.errors import InputError
from tests import standins


@pytest.fixture
def checkout(tmp_path):
    return standins.checkout(tmp_path)


def test_it_keeps_the_contract_its_own_test_and_the_style_as_it_stands(checkout):
    written = scaffold.new_method("my_method", checkout)

    assert [p.as_posix() for p in written] == [
        "irstd/methods/my_method.py",
        "tests/test_my_method.py",
        "params.yaml",
        "cells.yaml",
    ]
    tools = [
        [sys.executable, "-m", "ruff", *words, *map(str, written[:2])] for words in (["check"], ["format", "--check"])
    ]
    for command in tools:
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    tests = ["tests/test_methods.py", "tests/test_my_method.py", "-k", "my_method", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([sys.executable, "-m", "pytest", *tests], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("....... "), done.stdout  # seven, none skipped


def test_params_get_one_row_and_keep_every_other_line(checkout):
    before = (checkout / "params.yaml").read_text()
    scaffold.new_method("my_method", checkout)
    after = (checkout / "params.yaml").read_text()
    given = params.parse(after)

    assert given.methods[-1] == "my_method" and given.recipe("synthetic", "my_method").epochs == 12
    kept = set(before.splitlines()) - set(after.splitlines())
    assert {line.split(":")[0] for line in kept} == {"methods"}
    assert given.method["ggl_net"] == params.parse(before).method["ggl_net"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("My-Method", "'My-Method' cannot name a module; take small letters, digits and _, a letter first"),
        ("yes", "'yes' cannot name a module; take small letters, digits and _, a letter first"),
        ("class", "'class' cannot name a module; take small letters, digits and _, a letter first"),
        (
            "ggl_net",
            "params.yaml has a row 'ggl_net' already; take another name, or take that row out, from `methods` too",
        ),
        ("score_report", "tests/test_score_report.py is there already; take another name, or remove it"),
    ],
)
def test_a_name_that_will_not_do_is_refused_and_nothing_is_written(checkout, name, sentence):
    before = {p: p.read_bytes() for p in checkout.rglob("*.*") if p.is_file()}

    with pytest.raises(InputError) as error:
        scaffold.new_method(name, checkout)

    assert str(error.value) == sentence
    assert before == {p: p.read_bytes() for p in checkout.rglob("*.*") if p.is_file()}


def test_elsewhere_it_says_where_to_run_it(tmp_path):
    with pytest.raises(InputError) as error:
        scaffold.new_method("x", tmp_path)

    assert str(error.value) == "irstd/methods is not here; run this in the root of a checkout"


def test_a_params_file_of_another_layout_is_left_alone():
    with pytest.raises(InputError) as error:
        scaffold.listed("methods:\n  - a\n", "x")

    assert "add 'x' by hand as CONTRIBUTING.md says" in str(error.value)
