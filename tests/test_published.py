"""Published figures: what is recorded of them, and that wrong rows are refused."""

import pytest

from irstd import tables
from irstd.results import literature


def test_published_shares_are_percentages_and_sources_are_named():
    table = literature.published()
    shares = table[~table["metric"].isin(["fa_per_million"])]

    assert shares["value"].between(0, 100).all() and table[["method", "source", "scored"]].ne("").all(axis=None)
    again = table.duplicated(["method", "dataset", "split", "metric", "source"], keep=False)
    assert table[again]["note"].str.contains("contradicts itself").all()


def test_sources_are_dated_as_far_as_it_is_known():
    table = literature.published().set_index("source")["date"]
    dates = table[~table.index.duplicated()]

    assert dates.str.fullmatch(r"20\d\d(-\d\d(-\d\d)?)?|").all() and (dates == "").sum() == 1
    assert dates.filter(like="BasicIRSTD").tolist() == ["2024-12-20"]
    shown = tables.published(literature.published("nudt-sirst")).set_index("source")
    assert shown.loc["arXiv 2604.09991 (abstract)", "dated"] == "2026-04"
    with pytest.raises(ValueError, match="'A new paper' is not dated; add a line of it"):
        literature._dates(["A new paper"])


def test_published_splits_and_values_are_those_of_their_sources():
    table = literature.published().set_index(["method", "dataset", "metric"]).sort_index()
    fa = table.loc[("WSLCM", "nudt-sirst", "fa_per_million")]
    drpca = table[table["source"].str.startswith("DRPCA-Net")].reset_index()
    msda = table[table["source"].str.startswith("MSDA-Net")]

    assert fa["value"] == 52391.633
    assert set(zip(drpca["dataset"], drpca["split"], strict=True)) == {
        ("nuaa-sirst", "341-86"), ("nudt-sirst", "663-664"), ("irstd-1k", "800-201"),
    }  # fmt: skip
    assert "1061-266" not in set(msda["split"]) and (msda["split"] == "10:3").sum() == 40
    assert sorted(table.loc[("ALCL-Net", "nuaa-sirst", "fa_per_million")]["value"]) == [9.5, 16.77, 17.01, 35.06]


def test_newer_weights_and_other_rules_stand_beside_older_figures():
    table = literature.published("irstd-1k").set_index(["method", "metric"]).sort_index()
    mshnet = table.loc[("MSHNet", "iou")]
    manuscript = table.loc[("FSGPNet", "iou")]

    assert {67.16, 67.87} <= set(mshnet["value"])
    assert mshnet[mshnet["value"] == 67.87]["note"].tolist() == ["newer weights, of corrected code"]
    assert dict(zip(manuscript["value"], manuscript["scored"].str[:6], strict=True)) == {
        68.44: "native",
        68.14: "not st",
    }


def test_target_f1_is_in_the_table_of_published_figures_under_its_own_rule():
    shown = tables.published(literature.published("sirst-uavb")).set_index("method")

    assert shown.loc["SPIRE", "target F1 %, as scored there"] == "97.05"
    assert "within 5 px" in shown.loc["SPIRE", "scored"] and shown.loc["SPIRE", "split"] == "not stated"
    assert set(shown.loc["MSHNet", "IoU %"]) == {"40.56", "–"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("A,nuaa-sirst,,iou,101,native,paper,", "line 2: iou is '101'"),
        ("A,nuaa-sirst,,iou,high,native,paper,", "line 2: iou is 'high'"),
        ("A,nuaa-sirst,,auc,1,native,paper,", "no metric 'auc'"),
        ("A,nuaa-sirst,,iou,1,native,,", "source is empty"),
        ("A,nuaa-sirst,,iou,1,native,paper,\nA,nuaa-sirst,,iou,2,native,paper,", "line 3: .* stated twice"),
    ],
)
def test_a_wrong_published_figure_is_refused(tmp_path, row, message):
    path = tmp_path / "published.csv"
    path.write_text(f"{','.join(literature.COLUMNS)}\n{row}\n")

    with pytest.raises(ValueError, match=message):
        literature.read(path)
