"""What figures of losses and kernels are made of, and paired differences."""

import numpy as np
import pandas as pd
import pytest
import torch

from irstd.analysis import breakdown, gradients, orientation
from irstd.analysis.differences import over_seeds, paired, pairwise
from irstd.layers.pinwheel import OrientedGaussian2d
from irstd.methods import gaussian_pinwheel as unet
from irstd.results.schemas import SCHEMAS


class TestGradients:
    def test_the_table_holds_both_slopes_and_where_weights_lead_away(self):
        table = gradients.over_area([20.0])

        assert list(table.columns) == list(SCHEMAS["gradients"])
        apart = table[table["predicted_px"] != 20]
        assert (apart["slope"] - apart["slope_autograd"]).abs().max() < 1e-10
        assert set(table[table["wrong"] == 1]["weight"]) == {"variance"}
        away = table[table["wrong"] == 1]["predicted_px"]
        assert ((away - 20).abs() > 2 * 20**0.5).all()

    def test_of_nested_regions_every_whole_loss_still_falls_towards_the_true_area(self):
        # methods.md B.2: with the overlap's own slope, only the weights differ in sign.
        table = gradients.over_area([20.0])
        apart = table[table["predicted_px"] != 20]

        assert ((apart["loss_slope"] > 0) == (apart["predicted_px"] > 20)).all()

    def test_trainings_are_told_by_the_areas_they_went_through(self):
        rows = [
            ("d", "m", 0, 1, "predicted area", 40.0),
            ("d", "m", 0, 1, "true area", 20.0),
            ("d", "m", 0, 1, "sigma x", 1.5),
        ]
        watched = pd.DataFrame(rows, columns=["dataset", "method", "seed", "epoch", "quantity", "value"])

        table = gradients.over_training(watched).set_index("weight")

        assert table.loc["diff", "alpha"] == pytest.approx((20 + 10) / (40 + 10))
        assert table.loc["variance", "slope"] > 0 > table.loc["diff", "slope"]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return unet.GaussianPinwheelUNet(unet.Options()).eval()


class TestOrientation:
    def test_every_layer_is_told(self, network):
        assert len(orientation.learnt(network)) == 16
        kernels = orientation.kernels(network)
        assert list(kernels.columns) == list(SCHEMAS["kernels"])
        assert np.allclose(kernels.groupby(["layer", "candidate"])["value"].sum(), 1)

    def test_shares_are_shares(self, network):
        mask = torch.zeros(1, 1, 32, 32)
        mask[..., 9:12, 20:23] = 1
        table = orientation.shares(network, [torch.rand(1, 1, 32, 32)], [mask])

        assert list(table.columns) == list(SCHEMAS["choices"])
        assert table.loc[table["layer"] == table["layer"][0], "direction_deg"].tolist() == [0, 45, 90, 135]
        sums = table.groupby("layer")[["share", "share_on_targets"]].sum()
        assert np.allclose(sums, 1)
        assert not network.encoder[0][0].spatial.blur._forward_pre_hooks

    def test_a_turning_target_is_answered_with_the_period_of_the_mask(self):
        table = orientation.turning_target({"bar": OrientedGaussian2d()})
        assert list(table.columns) == list(SCHEMAS["turning"])
        chosen = table[table["chosen"] == 1].set_index("angle_deg")

        for angle, candidate in ((0, 0), (45, 1), (90, 2), (135, 3), (180, 0)):
            assert chosen.loc[angle, "candidate"] == candidate
            assert chosen.loc[angle, "direction_deg"] == angle % 180
        assert np.allclose(chosen.loc[0:175, "response"], chosen.loc[180:355, "response"], atol=1e-5)
        assert (table.groupby("angle_deg")["response"].max() - chosen["response"]).abs().max() < 1e-6

    def test_a_round_kernel_turns_with_the_image_and_a_random_one_does_not(self):
        layers = orientation.attentions()
        table = orientation.equivariance({k: layers[k] for k in ("Gaussian", "7×7 convolution", "1 bar, 4 angles")})
        mean = table.groupby("kernel")["error"].mean()

        assert mean["Gaussian"] < 0.02 < mean["1 bar, 4 angles"] < 0.2 < mean["7×7 convolution"]
        assert table[table["angle_deg"] == 90].set_index("kernel").loc["1 bar, 4 angles", "error"] < 1e-3


class TestDifferences:
    def table(self, rng, gain):
        rows = []
        for method, better in (("a", gain), ("b", 0)):
            for seed in (0, 1):
                draw = np.random.default_rng(5)
                for image in range(60):
                    true = int(draw.integers(5, 40))
                    rows.append(
                        (method, seed, f"{image:03}", min(true, true // 2 + better), true, true, 1, 1, 1, 0, 0, 1000)
                    )
        columns = [
            "method",
            "seed",
            "name",
            "intersection",
            "predicted",
            "true",
            "detected",
            "targets",
            "regions",
            "false_regions",
            "false_pixels",
            "pixels",
        ]
        return pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=1)

    def test_equal_rows_differ_by_nothing_with_an_empty_interval(self, rng):
        found = paired(self.table(rng, 0), "a", "b").set_index("score")

        assert found.loc["iou", ["difference", "low", "high"]].tolist() == [0, 0, 0]
        assert found.loc["iou", "seeds"] == 2

    def test_a_gain_on_every_image_is_told_apart_and_changes_sign_with_the_order(self, rng):
        table = self.table(rng, 2)
        one, other = (paired(table, *pair).set_index("score").loc["iou"] for pair in (("a", "b"), ("b", "a")))

        assert 0 < one["low"] < one["difference"] < one["high"]
        assert other["difference"] == pytest.approx(-one["difference"])
        assert one["by_seed"] == pytest.approx([one["difference"]] * 2)
        whole = table[(table["method"] == "a") & (table["seed"] == 0)].sum(numeric_only=True)
        assert one["one"] == pytest.approx(
            whole["intersection"] / (whole["predicted"] + whole["true"] - whole["intersection"])
        )

    def test_of_all_pairs_the_better_comes_first_and_a_steady_gain_is_no_chance(self, rng):
        table = self.table(rng, 2)
        three = pd.concat([table, table[table["method"] == "b"].assign(method="c")])

        found = pairwise(three, ["b", "c", "a"], "iou").set_index(["one", "other"])

        assert found.index.tolist() == [("a", "b"), ("a", "c"), ("b", "c")]
        assert found.loc[("a", "b"), "p_holm"] < 0.01 and found.loc[("b", "c"), "p_holm"] == 1
        assert found.loc[("a", "b"), "difference"] > 0 == found.loc[("b", "c"), "difference"]

    def test_the_trainings_behind_a_pair_are_counted(self, rng):
        table = self.table(rng, 2)
        found = pairwise(table[(table["method"] == "a") | (table["seed"] == 0)], ["a", "b"], "iou").iloc[0]

        assert (found["one_seeds"], found["other_seeds"]) == (2, 1)

    def test_the_interval_over_seeds_is_of_their_differences(self, rng):
        table = self.table(rng, 2)
        late = (table["method"] == "a") & (table["seed"] == 1)
        table.loc[late, "intersection"] = table.loc[late, "true"] // 2
        found = paired(table, "a", "b").set_index("score").loc["iou"]
        gain = found["by_seed"][0]

        # 0 and `gain`: their mean is half of it, and so is their standard error.
        assert found["by_seed"][1] == 0
        assert found["seed_low"] == pytest.approx(gain / 2 - 12.7062 * gain / 2, abs=1e-4)
        assert np.isnan(paired(table[table["seed"] == 0], "a", "b")["seed_low"]).all()

    def test_the_interval_over_seeds_ends_where_scores_do(self, rng):
        table = self.table(rng, 2)
        late = table["seed"] == 1
        table.loc[late, "intersection"] = table.loc[late, "true"]
        found = over_seeds(table, ["a"], "iou").iloc[0]

        assert found["by_seed"][1] == 1 and (found["seed_low"], found["seed_high"]) == (0, 1)

    def test_means_over_seeds_have_intervals_of_images_and_seeds(self, rng):
        table = self.table(rng, 2)
        table.loc[table["method"] == "b", "predicted"] = np.nan

        found = over_seeds(table, ["a", "b"], "iou")

        assert found["method"].tolist() == ["a"] and found["seeds"].tolist() == [2]
        assert found["low"][0] < found["mean"][0] < found["high"][0]
        assert found["by_seed"][0] == pytest.approx([found["mean"][0]] * 2)
        assert found["seed_low"][0] == pytest.approx(found["mean"][0])  # both seeds are alike

    def test_fewer_false_alarms_are_better(self, rng):
        table = self.table(rng, 0)
        table.loc[table["method"] == "a", "false_pixels"] = 7

        found = pairwise(table, ["a", "b"], "fa_per_million").iloc[0]

        assert (found["one"], found["other"], found["difference"]) == ("b", "a", -7000)

    def test_methods_without_the_score_are_left_out(self, rng):
        table = self.table(rng, 0)
        table.loc[table["method"] == "a", "predicted"] = np.nan

        assert len(pairwise(table, ["a", "b"], "iou")) == 0


def test_pd_by_size_counts_each_target_in_its_bin():
    targets = pd.DataFrame(
        {
            "name": ["x", "x", "y"],
            "target": [0, 1, 0],
            "area_px": [5, 10, 300],
            "scr": [-3.0, 1.0, np.nan],
            "border_px": [0, 9, 90],
        }
    )
    found = targets[["name", "target", "area_px"]].assign(method="a", seed=0, detected=[0, 1, 1])

    table = breakdown.joined(found, targets)

    by_size = breakdown.by(table, "area_px")
    assert [tuple(r) for r in by_size[["bin", "targets", "pd"]].to_numpy()] == [
        ("0 to < 10", 1, 0.0),
        ("10 to < 20", 1, 1.0),
        ("≥ 80", 1, 1.0),
    ]
    assert ((by_size["low"] <= by_size["pd"]) & (by_size["pd"] <= by_size["high"])).all()
    assert breakdown.by(table, "in_scene")[["bin", "targets"]].to_numpy().tolist() == [["1", 1], ["2", 2]]
    assert breakdown.by(table, "scr")["targets"].sum() == 2  # one has no contrast
