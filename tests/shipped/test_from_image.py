"""The whole house with the shipped model, from pictures: what was there stays, what was asked for
comes."""

from pathlib import Path

import pytest
from PIL import Image

import dream
from dream.core.events import Event, Note, Rejected, Verified
from dream.gallery import LOG_NAME
from dream.session import Session
from tests.shipped.render import make_one, opened, pixels
from training.image_analysis import Detection, analyze

FIRST = "a red circle in the top left on a white background"
OTHER = "a blue star in the bottom right on a yellow background"
BLUE = "a blue square in the bottom right on a white background"
BOX = (128, 128, 240, 240)
"""What the mask paints."""


@pytest.fixture(scope="module")
def first(session: Session) -> Path:
    """A red circle at the top left, on white."""
    return make_one(session, f"{FIRST} -S1 -s12").path


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    image = Image.new("L", (256, 256), 255)
    image.paste(0, BOX)
    image.save(path)
    return path


def seen(path: Path) -> Detection:
    return analyze(opened(path))


def things(finding: Detection) -> list[tuple[str, str]]:
    return [(region.colour, finding.cell(region)) for region in finding.regions]


def test_a_little_strength_keeps_layout_and_background(session: Session, first: Path) -> None:
    for seed in (1, 2):
        finding = seen(make_one(session, f"{OTHER} -I {first} -f.2 -s12 -S{seed}").path)
        assert finding.background == "white"
        assert [place for _, place in things(finding)][:1] == ["top left"]


def test_much_strength_follows_the_prompt(session: Session, first: Path) -> None:
    findings = [
        seen(make_one(session, f"{OTHER} -I {first} -f.9 -s12 -S{seed}").path) for seed in (1, 2)
    ]
    assert [finding.background for finding in findings] == ["yellow"] * 2
    assert any(("blue", "bottom right") in things(finding) for finding in findings)


def test_no_strength_is_refused(session: Session, first: Path) -> None:
    (refused,) = session.make(f"{OTHER} -I {first} -f0")
    assert isinstance(refused, Rejected) and "above 0" in str(refused.error)


def test_inside_the_mask_comes_what_was_asked_and_outside_not_one_pixel_differs(
    session: Session, first: Path, mask: Path
) -> None:
    path = make_one(session, f"{BLUE} -I {first} -M {mask} -f.9 -s12 -S3").path
    outside = pixels(mask)[..., 0] == 255
    assert (pixels(path)[outside] == pixels(first)[outside]).all()
    assert sorted(things(seen(path))) == [("blue", "bottom right"), ("red", "top left")]


def test_a_picture_goes_on_in_its_own_words(session: Session, first: Path) -> None:
    assert make_one(session, f"-I {first} -f.5 -s6 -S1").request.prompt == FIRST


SMALL = "a red circle -W128 -H128"

EVERYTHING = (
    SMALL,
    f"{OTHER} -I -1 -f.6",
    f"{OTHER} -I FIRST -fit -W128 -A k_euler_a --keep_inputs",
    f"{BLUE} -I FIRST -M MASK -W128 -H128 --keep_inputs --mask_blur 9",
    f"{BLUE} -I FIRST -M MASK -W128 -H128 --invert_mask -r.5",
    "-I FIRST -fit -W128 -v.2",
    f"{SMALL} -V 5:.2,6:.3 --perlin .2 --threshold 2",
    f"{SMALL} --seamless --seamless_axes x",
    f"{SMALL} --init_color FIRST --karras_max 30 -A k_heun --save_intermediates 2",
    f"{SMALL} --h_symmetry_time_pct .5 --v_symmetry_time_pct .5",
    f"{FIRST} -W320 -H320 --hires_fix",
    f"{SMALL} -c right 64",
    f"{SMALL} -D left 64",
    f"{SMALL} -embiggen 2 -embiggen_strength .6",
    f"{SMALL} -U2 --watermark hello",
    "!fix -1 -c top 40 -U2",
)
"""A line of every capability, but those that want a network of their own (-tm, x4-diffusion)."""


def test_a_log_of_everything_verifies_in_another_process(
    session: Session, first: Path, mask: Path, tmp_path: Path
) -> None:
    for seed, line in enumerate(EVERYTHING):
        named = line.replace("FIRST", str(first)).replace("MASK", str(mask))
        make_one(session, f"{named} -s3 -S{seed} -o {tmp_path}")
    with dream.open(outdir=str(tmp_path)) as another:
        events: list[Event] = list(another.verify(tmp_path / LOG_NAME))
    verified = [event.same for event in events if isinstance(event, Verified)]
    assert verified == [True] * len(EVERYTHING), events
    assert not [e for e in events if isinstance(e, Note) and "changed" in e.text]
    assert len(list((tmp_path / "inputs").iterdir())) == 2
