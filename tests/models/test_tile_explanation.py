"""Maps by networks: on a network whose answer is known, and on phantom tiles half covered by a planted lesion."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from core.domain import Region, Size
from core.explain import Method, randomised, superpixels
from core.explain.agreement import spearman
from core.explain.inside import mass_of
from core.explain.maps import smoothed
from core.explain.sanity import MOST_ALIKE, MOST_SPREAD, spread_of
from core.phantom import Lesion, PhantomSpec, ScannerLook, TissueMix, write_phantom
from core.services.explanation.task import PIECES
from core.slides import open_slide
from models.cards import Member
from models.explanation.cam import cam_layer, class_activation, grad_cam_cells, grad_cam_pp_cells, turned_back
from models.explanation.path_gradients import TOLERANCE, integrated_gradients
from models.explanation.perturbing import lime_weights, occlusion, on_pixels
from models.explanation.randomising import with_random_weights
from models.explanation.target_model import TargetModel, TargetNetwork, as_colours, load_target_model
from models.explanation.tile import LIME_SEEDS, explain_tile
from models.registry import load_model
from models.torch_model import isometric_views

MEMBER = Member(
    architecture="resnet18",
    input_px=32,
    weights="dark.safetensors",
    sha256="0" * 64,
    temperature=1.0,
    mean_255=(128.0, 128.0, 128.0),
    std_255=(64.0, 64.0, 64.0),
)


class DarkNetwork(nn.Module):
    """Answers with how much of the tile is dark, in cells of 4 x 4 px: what every map must point at is known."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, 2, 4, stride=4)
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.cells.weight[0] = -1 / 48
            self.cells.weight[1] = 1 / 48
            self.cells.bias.zero_()
            self.head.weight.copy_(torch.tensor([[0.0, 3.0], [12.0, 0.0]]))
            self.head.bias.copy_(torch.tensor([2.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.cells(x)).mean(dim=(2, 3)))


def dark_model(*, isometries: int = 1, networks: int = 1) -> TargetModel:
    members = [TargetNetwork(DarkNetwork(), MEMBER, positive=[1]) for _ in range(networks)]
    return TargetModel(members, name="dark", tile_px=48, isometries=isometries)


def dark_corner() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A bright tile, darker in an L at the top right: it looks different under every symmetry of the square."""
    mask = np.zeros((48, 48), np.bool_)
    mask[4:12, 20:44] = True
    mask[4:32, 36:44] = True
    tile = np.full((48, 48, 3), 215, np.uint8)
    tile[mask] = 20
    return tile, mask


def all_maps(model: TargetModel, tile: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    colours, pieces = as_colours(tile), superpixels(tile, count=36)
    return {
        "grad_cam": class_activation(model, colours, grad_cam_cells)[0],
        "grad_cam_pp": class_activation(model, colours, grad_cam_pp_cells)[0],
        "occlusion": occlusion(model, colours)[0],
        "lime": on_pixels(lime_weights(model, colours, pieces, seeds=(1, 2), samples=150).mean(axis=0), pieces),
        "integrated_gradients": smoothed(integrated_gradients(model, colours).values),
    }


@pytest.mark.parametrize(("isometries", "networks"), [(1, 1), (8, 2)])
def test_every_map_lies_on_the_lesion_neither_transposed_nor_mirrored(isometries, networks):
    tile, mask = dark_corner()
    model = dark_model(isometries=isometries, networks=networks)
    turned = [mask.T, mask[::-1], mask[:, ::-1], mask[::-1, ::-1], mask.T[::-1], mask.T[:, ::-1]]
    for name, values in all_maps(model, tile).items():
        own = mass_of(values, mask)
        assert own.inside > 3 * own.outside, name
        assert all(mass_of(values, other).share < own.share for other in turned), name


def test_maps_are_turned_back_as_the_views_were_turned():
    picture = torch.arange(2 * 36, dtype=torch.float32).view(2, 1, 6, 6)[:1]
    for number in (1, 2, 4, 8):
        views = torch.cat(list(isometric_views(picture, number=number)))
        assert len(views) == number
        assert all(torch.equal(one, picture[0]) for one in turned_back(views, number=number))


def test_grad_cam_plus_plus_by_hand():
    """One channel, 2 x 2 cells A = 1, 2, 3, 4 and a score S = 2 mean(A): g = .5, alpha = .25 / (.5 + 10 x .125)."""

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.ones_(self.cells.weight)

        def forward(self, x: Tensor) -> Tensor:
            score = 2 * self.cells(x[:, :1]).mean(dim=(2, 3))
            return torch.cat([torch.zeros_like(score), score], dim=1)

    network = TargetNetwork(Plain(), MEMBER, positive=[1])
    cells = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).expand(1, 3, 2, 2)
    found = grad_cam_pp_cells(network, network.network.get_submodule("cells"), cells)
    alpha = 0.25 / (2 * 0.25 + 10 * 0.125)
    assert torch.allclose(found[0, 0], 4 * alpha * 0.5 * cells[0, 0])
    plain = grad_cam_cells(network, network.network.get_submodule("cells"), cells)
    assert torch.allclose(plain[0, 0], 0.5 * cells[0, 0])


@pytest.mark.parametrize(
    ("name", "cells"), [("idc_resnet18", [("layer2", 8)]), ("lung", [("blocks.4", 6)])], ids=["resnet18", "lite0"]
)
def test_the_explained_layer_has_places_left(name, cells):
    model = load_target_model(name)
    found = [(layer.name, layer.cells[0]) for layer in map(cam_layer, model.members)]
    assert found == cells


def test_shares_of_integrated_gradients_add_up():
    tile, _ = dark_corner()
    found = integrated_gradients(dark_model(networks=2), as_colours(tile))
    assert found.probability > found.of_glass
    assert found.is_complete
    assert abs(found.missing) < 0.02
    assert found.values.sum() == pytest.approx(found.probability - found.of_glass, abs=0.02)
    coarse = integrated_gradients(dark_model(), as_colours(tile), steps=1)
    assert coarse.is_complete == (abs(coarse.missing) <= TOLERANCE)
    assert abs(coarse.missing) > abs(found.missing)


def test_several_positive_classes_count_together():
    network = TargetNetwork(nn.Identity(), MEMBER, positive=[1, 2])
    logits = torch.tensor([[0.3, -1.2, 2.0], [4.0, 0.0, -3.0]])
    expected = torch.softmax(logits, dim=1)[:, 1:].sum(dim=1)
    assert torch.allclose(torch.sigmoid(network.log_odds(logits)), expected)


def test_lime_repeats_with_its_seed_and_leaves_the_random_state_alone():
    tile, _ = dark_corner()
    pieces = superpixels(tile, count=25)
    model, colours = dark_model(), as_colours(tile)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = lime_weights(model, colours, pieces, seeds=(3, 4), samples=120)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(first, lime_weights(model, colours, pieces, seeds=(3, 4), samples=120))
    assert not np.array_equal(first[0], first[1])
    assert spread_of(first).is_stable


def test_one_call_makes_all_maps_and_stops_when_told():
    tile, _ = dark_corner()
    pieces = superpixels(tile, count=16)
    told: list[tuple[int, int]] = []
    found = explain_tile(dark_model(), tile, pieces, step=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(told[-1][1])), "every step is told once"
    assert {values.shape for values in found.maps.values()} == {(48, 48)}
    assert {name: len(draws) for name, draws in found.random.items()} == {
        "grad_cam": 2,
        "grad_cam_pp": 2,
        "occlusion": 1,
        "lime": 1,
        "integrated_gradients": 2,
    }
    assert found.lime_weights.shape == (3, pieces.max() + 1)

    def stop(done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain_tile(dark_model(), tile, pieces, step=stop)


@dataclasses.dataclass(frozen=True)
class HalfCovered:
    """Tiles of a phantom that its planted lesion covers by about a half, as the model reads them."""

    tiles: list[NDArray[np.uint8]]
    masks: list[NDArray[np.bool_]]


@pytest.fixture(scope="module")
def half_covered(tmp_path_factory: pytest.TempPathFactory) -> HalfCovered:
    path = tmp_path_factory.mktemp("phantom") / "lesion.tif"
    spec = PhantomSpec(
        seed=5,
        size_px=Size(1400, 1400),
        mpp=1.0,
        lesions=(Lesion(500, grade=3, density=0.7),),
        tissue=TissueMix(fat=0.1),
        scanner=ScannerLook("A", violet=0.85),
    )
    truth = write_phantom(spec, path)
    picture = Image.new("1", (1400, 1400))
    for polygon in truth.lesions[0].polygons:
        ImageDraw.Draw(picture).polygon([tuple(point) for point in polygon[0]], fill=1)
    mask = np.asarray(picture)
    found = HalfCovered([], [])
    with open_slide(path) as reader:
        for y in range(0, 1200, 50):
            for x in range(0, 1200, 50):
                part = mask[y : y + 200, x : x + 200]
                if 0.4 < part.mean() < 0.6:
                    tile = reader.read(Region(x, y, 200, 200), Size(50, 50))
                    if (tile.mean(axis=-1) > 235).mean() < 0.1:
                        found.tiles.append(tile)
                        found.masks.append(part[2::4, 2::4])
    return HalfCovered(found.tiles[::3][:3], found.masks[::3][:3])


def test_the_differentiable_model_is_the_model_that_analyses(half_covered):
    model, reference = load_target_model("idc_resnet18"), load_model("idc_resnet18", device="cpu")
    batch = np.stack(half_covered.tiles)
    with torch.no_grad():
        own = model(torch.cat([as_colours(tile) for tile in batch])).numpy()
    assert np.allclose(own, reference.predict(batch)[:, 1], atol=0.02)


def test_maps_of_the_shipped_model_point_at_planted_lesions(half_covered):
    """On average over tiles: one map of one tile may well err, which is why they are shown side by side."""
    assert len(half_covered.tiles) == 3
    model = load_target_model("idc_resnet18")
    gained: dict[str, list[float]] = {}
    for tile, mask in zip(half_covered.tiles, half_covered.masks, strict=True):
        pieces, colours = superpixels(tile, count=36), as_colours(tile)
        maps = {
            "grad_cam": class_activation(model, colours, grad_cam_cells)[0],
            "occlusion": occlusion(model, colours)[0],
            "lime": on_pixels(lime_weights(model, colours, pieces, seeds=(1,), samples=70)[0], pieces),
        }
        for name, values in maps.items():
            found = mass_of(values, mask)
            gained.setdefault(name, []).append(found.share - found.area)
    means = {name: float(np.mean(values)) for name, values in gained.items()}
    assert all(mean > 0.05 for mean in means.values()), means


def test_lime_on_a_planted_lesion_is_stable_over_seeds(half_covered):
    tile = half_covered.tiles[0]
    pieces = superpixels(tile, count=PIECES)
    weights = lime_weights(load_target_model("idc_resnet18"), as_colours(tile), pieces, seeds=LIME_SEEDS)
    found = spread_of(weights)
    assert found.relative <= MOST_SPREAD, found.relative
    assert spearman(weights[0], weights[1]) > 0.5


def test_random_weights_change_the_maps_of_the_shipped_model(half_covered):
    model = load_target_model("idc_resnet18")
    drawn = [with_random_weights(model, seed=seed) for seed in (1, 2)]
    correlations: dict[Method, list[float]] = {Method.GRAD_CAM: [], Method.GRAD_CAM_PP: []}
    for tile in half_covered.tiles:
        colours = as_colours(tile)
        for method, cells in ((Method.GRAD_CAM, grad_cam_cells), (Method.GRAD_CAM_PP, grad_cam_pp_cells)):
            own, *others = (class_activation(one, colours, cells)[0] for one in (model, *drawn))
            correlations[method].append(randomised(method, own, others).correlation)
    assert all(np.mean(found) < MOST_ALIKE for found in correlations.values()), correlations
    again = with_random_weights(model, seed=1)
    with torch.no_grad():
        assert torch.equal(drawn[0](colours), again(colours)), "the same seed draws the same weights"
        assert not torch.equal(drawn[0](colours), model(colours))


def test_grad_cam_plus_plus_bears_a_layer_without_a_rectifier():
    """Most cells of such a layer may be negative, and alpha would change its sign: the map turned inside out."""
    tile, _ = dark_corner()
    model = dark_model()
    layer = model.members[0].network.get_submodule("cells")
    prepared = model.members[0].prepared(as_colours(tile))
    assert layer(prepared)[0, 0].mean() < 0
    found = grad_cam_pp_cells(model.members[0], layer, prepared)[0, 0]
    assert found[1:2, 4:7].min() > 0
    assert found[:, :2].max() == 0


def test_an_unknown_model_is_named(tmp_path: Path):
    from core.errors import NotFoundError

    with pytest.raises(NotFoundError, match="There is no model"):
        load_target_model("nothing", root=tmp_path)
