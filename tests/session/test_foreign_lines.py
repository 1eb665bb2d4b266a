"""Images of other programs through every door: the line, what it lacks, and nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from dream.cli.app import main
from dream.commands import COMMANDS, Context, InsertText, TextOutput, run_line
from dream.core.events import Event, Note, Planned, Rejected, Saved
from dream.core.request import Request
from dream.core.weight_digests import find_digest_file
from dream.gallery.readers import ForeignRecord
from dream.line import parse_line
from dream.options.foreign_names import find_sampling
from dream.options.lora import Hypernet, Lora
from dream.prompt import parse_prompt
from dream.session import Session
from dream.session.foreign_lines import find_nearest
from dream.session.foreign_models import ModelLookup
from dream.session.image_prompts import read_image_line
from dream.session.line_sources import read_lines, read_pasted
from tests import foreign_samples
from tests.fakes import FakeEngine, fake_session
from tests.foreign_samples import FOLDER, save_png
from tests.session.test_adapters import write_lora


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    return fake_session(tmp_path)


def happened(session: Session, line: str) -> list[Event]:
    return list(run_line(Context(session, list, COMMANDS), line))


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_every_sample_has_a_line_that_can_be_typed(path: Path) -> None:
    found = read_image_line(path)
    assert found.line.startswith('"')
    assert parse_line(found.line).prompt


@pytest.mark.parametrize(
    ("sampler", "schedule", "ours", "plan"),
    [
        ("DPM++ 2M Karras", "", "dpmpp_2m_karras", None),
        ("DPM++ 2M", "Karras", "dpmpp_2m", "karras"),
        ("Euler a", "Automatic", "k_euler_a", None),
        ("euler_ancestral", "normal", "k_euler_a", "uniform"),
        ("dpmpp_2m_sde_gpu", "sgm_uniform", "dpmpp_2m_sde", "sgm_uniform"),
        ("k_dpmpp_2m", "native", "dpmpp_2m", None),
        ("dpmpp_2m_k", "", "dpmpp_2m", "karras"),
        ("dpm++2m karras", "", "dpmpp_2m_karras", None),
        ("uni_pc_bh2", "beta", "unipc", "beta"),
        ("DPM++ 2M SDE Heun", "Exponential", None, "exponential"),
        ("Euler", "Turbo", "k_euler", None),
        ("", "", None, None),
    ],
)
def test_samplers_of_others_have_our_names(
    sampler: str, schedule: str, ours: str | None, plan: str | None
) -> None:
    found = find_sampling(sampler, schedule)
    assert (found.sampler, found.schedule) == (ours, plan)
    assert bool(found.unknown) == ("Heun" in sampler or schedule == "Turbo")


def test_a_model_is_found_by_name(session: Session) -> None:
    name = session.registry.list_models()[0].name
    lookup = ModelLookup(session.registry)
    record = ForeignRecord(tool="x", prompt="a", model=name.upper())
    assert find_nearest(record, lookup).request.model == name
    nearest = find_nearest(ForeignRecord(tool="x", prompt="a", model="../other"), lookup)
    assert nearest.request.model is None
    assert nearest.left_out == ("model ../other (not found here)",)


def test_a_model_is_found_by_hash_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    session = fake_session(tmp_path, None, "CuteMix", "renamed")
    file = tmp_path / "models" / "other.safetensors"
    file.write_bytes(b"weights")
    known = find_digest_file((file,))
    known.parent.mkdir(parents=True)
    known.write_text("72bd94132e" + "0" * 54)
    lookup = ModelLookup(session.registry)
    assert lookup.find_model("CuteMix", "72bd94132e") == "other"
    assert lookup.find_model("CuteMix", "72bd9413") == "CuteMix"
    assert lookup.find_model("CuteMix", "ffffffffff") == "CuteMix"


class AnyLora(ModelLookup):
    def find_lora(self, name: str, digest: str = "") -> str:
        return "" if name == "gone" else name

    def find_hypernet(self, name: str) -> str:
        return "" if name == "h" else name


@pytest.mark.parametrize(
    ("inline", "lora"),
    [
        ("ink", Lora("ink")),
        ("ink:0.8", Lora("ink", 0.8)),
        ("ink:0", Lora("ink", 0)),
        ("ink:0.5:0.8", Lora("ink", 0.8, 0.5)),
        ("ink:te=0.5:unet=0.8", Lora("ink", 0.8, 0.5)),
        ("ink:x", Lora("ink")),
    ],
)
def test_loras_of_a_prompt_become_switches(inline: str, lora: Lora) -> None:
    text = f"a <lora:{inline}> cat <lora:gone:1>, <hypernet:h:1>"
    nearest = find_nearest(ForeignRecord(tool="x", prompt=text, syntax="a1111"), AnyLora(None))
    assert nearest.request == Request(prompt="a cat", syntax="a1111", lora=(lora,))
    missing = ("LoRA gone 1 (not found here)", "hypernetwork h (not found here)")
    assert nearest.left_out == missing


def test_hypernetworks_of_a_prompt_become_switches() -> None:
    text = "a <hypernet:anime:0.6> cat <hypernet:ink>"
    nearest = find_nearest(ForeignRecord(tool="x", prompt=text, syntax="a1111"), AnyLora(None))
    assert nearest.request.hypernet == (Hypernet("anime", 0.6), Hypernet("ink"))
    assert nearest.request.prompt == "a cat" and not nearest.left_out


def test_a_renamed_lora_is_found_by_its_hash(session: Session, tmp_path: Path) -> None:
    """The hash of the file without its header, or the one that its trainer wrote there; in
    A1111's text its first twelve digits."""
    folder = tmp_path / "models/loras"
    write_lora(folder / "renamed.safetensors", 640)
    write_lora(folder / "kohya.safetensors", sshs_model_hash="ab" * 32, ss_output_name="Ink XL")
    data = (folder / "renamed.safetensors").read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    digest = hashlib.sha256(data[header:]).hexdigest()[:12]
    hashes = f'Lora hashes: "gone: {digest}, old name: abababababab"'
    end = f"Steps: 2, Sampler: Euler, Seed: 1, Size: 64x64, {hashes}, Version: v1.10.1"
    prompt = "a <lora:gone:0.5> <lora:old name:1> <lora:ink xl:2> <lora:other:1>"
    notes: list[str] = []
    line = read_pasted(f"{prompt}\n{end}", notes.append, ModelLookup(session.registry))
    assert line is not None
    wanted = (Lora("renamed", 0.5), Lora("kohya"), Lora("kohya", 2))
    assert parse_line(line).lora == wanted
    assert "LoRA other 1 (not found here)" in notes[0] and "gone" not in notes[0]
    damaged = folder / "damaged.safetensors"
    damaged.write_bytes(b"\xff" * 99)
    assert ModelLookup(session.registry).find_lora("x", digest) == "renamed"


@pytest.mark.parametrize(
    ("emphasis", "weighting", "left_out"),
    [
        ("", None, ""),
        (", Emphasis: Original", None, ""),
        (", Emphasis: No norm", "a1111_no_norm", ""),
        (", Emphasis: Ignore", None, "Emphasis Ignore"),
        (", Emphasis: None", None, "Emphasis None"),
    ],
)
def test_the_emphasis_of_a_block_is_a_weighting(
    emphasis: str, weighting: str | None, left_out: str
) -> None:
    notes: list[str] = []
    end = f"Steps: 2, Sampler: Euler, Seed: 1, RNG: CPU, Size: 64x64{emphasis}"
    line = read_pasted(f"a (red:1.2) cat\n{end}", notes.append)
    assert line is not None and parse_line(line).weighting == weighting
    assert [left_out in note for note in notes] == [True] * bool(left_out)


@pytest.mark.parametrize(
    ("version", "prompt", "words"),
    [
        ("v1.10.1", "# style\na cat # big\non a mat", "a cat on a mat"),
        ("f2.0.1", "a cat # big\non a mat", "a cat on a mat"),
        ("v1.7.0", "the #1 cat\non a mat", r"the \#1 cat on a mat"),
        ("ComfyUI", "the #1 cat", r"the \#1 cat"),
        ("v1.10.1", "a <segment:x,1> cat <3", "a cat <3"),
        ("ComfyUI", "a <b:c> cat", "a <b:c> cat"),
    ],
)
def test_comments_and_unknown_networks_are_no_words_where_they_were_none(
    version: str, prompt: str, words: str
) -> None:
    notes: list[str] = []
    end = f"Steps: 2, Sampler: Euler, Seed: 1, RNG: CPU, Size: 64x64, Version: {version}"
    line = read_pasted(f"{prompt}\n{end}", notes.append)
    assert line is not None and parse_line(line).prompt == words
    assert parse_prompt(words, "", "a1111").positive.words == words.replace("\\", "")
    assert ("<segment:x,1>" in str(notes)) == ("segment" in prompt)


def test_what_is_out_of_range_is_named() -> None:
    record = ForeignRecord(tool="x", prompt="a", steps=5000, width=8, cfg_scale=-1, seed=2**40 + 7)
    nearest = find_nearest(record)
    assert nearest.request == Request(prompt="a", seed=7)
    assert nearest.left_out == ("steps 5000", "width 8", "cfg_scale -1")


def test_fetch_inserts_the_line_and_says_what_it_lacks(session: Session) -> None:
    note, line = happened(session, f"!fetch {FOLDER / 'forge.png'}")
    assert isinstance(note, Note) and isinstance(line, InsertText)
    assert note.text.startswith("made by Forge f1.0.0v2")
    assert (
        "Hires CFG Scale" in note.text and "model x1a-AstolfoRF-3ep (not found here)" in note.text
    )
    request = parse_line(line.text)
    assert (request.prompt, request.negative, request.seed) == ("a red circle", "ugly", 1703748712)
    assert (request.width, request.height, request.hires_fix) == (96, 144, 0.7)


def test_fetch_writes_many_lines_that_replay(session: Session, tmp_path: Path) -> None:
    happened(session, f"!fetch {FOLDER}/a1111*.* lines.txt")
    lines = Path("lines.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 7 and all(" # made by AUTOMATIC1111" in line for line in lines)
    happened(session, "!replay lines.txt")
    assert isinstance(session.engine, FakeEngine)
    assert len(session.engine.rendered) == 7
    assert {recipe.seed for recipe in session.engine.rendered} == {965400086, 5, 2647703743}


def test_info_shows_the_record_and_the_line(session: Session) -> None:
    for name in ("a1111.jpg", "comfyui.webp", "a1111.avif", "params.txt"):
        (page,) = happened(session, f"!info {FOLDER / name}")
        assert isinstance(page, TextOutput)
        rows = dict(row for row in page.lines if isinstance(row, tuple))
        assert rows["  line"].startswith('"a red circle')
        assert rows["  made by"].startswith(("AUTOMATIC1111", "ComfyUI"))
        assert "  not carried over" in rows and "  it has no record" not in page.lines


def test_an_image_gives_its_prompt(session: Session) -> None:
    events = happened(session, f"-I {FOLDER / 'swarmui.jpg'} -f 0.5 -S1")
    (saved,) = [event for event in events if isinstance(event, Saved)]
    assert (saved.request.prompt, saved.request.negative) == ("a red circle", "ugly")


def test_fix_uses_its_settings(session: Session) -> None:
    events = happened(session, f"!fix {FOLDER / 'a1111-old.png'} -embiggen 2")
    (saved,) = [event for event in events if isinstance(event, Saved)]
    assert (saved.request.prompt, saved.request.seed) == ("a red circle", 2647703743)
    assert saved.request.sampler == "dpmpp_2m_sde"


def test_a_folder_replays(session: Session) -> None:
    session.dry_run = True
    events = happened(session, f"!replay {FOLDER}")
    planned = [event for event in events if isinstance(event, Planned)]
    images = [path for path in FOLDER.iterdir() if path.suffix not in (".txt", ".json")]
    assert len(planned) == len(images)


def test_a_grid_replays(session: Session) -> None:
    happened(session, "a cat -S1 -n3 -g")
    (grid,) = session.outdir.glob("*.grid.png")
    assert isinstance(session.engine, FakeEngine)
    first = session.engine.rendered[:]
    (line,) = happened(session, f"!fetch {grid}")
    assert isinstance(line, InsertText) and "-n3" in line.text
    happened(session, f"!replay {grid}")
    assert session.engine.rendered[3:] == first
    happened(session, f"!replay {session.outdir}")
    again = session.engine.rendered[6:]
    assert sorted(recipe.seed for recipe in again) == sorted(recipe.seed for recipe in first * 2)


def test_blocks_in_a_file_are_lines(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    blocks = f"a cat -S1\n\n{foreign_samples.FORGE}\n{foreign_samples.SDNEXT}\n\na dog -S2\n"
    file.write_text(blocks, encoding="utf-8")
    notes: list[str] = []
    lines = read_lines(file, notes.append)
    assert [number for number, _ in lines] == [1, 3, 6, 10]
    assert [parse_line(line).seed for _, line in lines] == [1, 1703748712, 7, 2]
    assert len(notes) == 2 and "Forge" in notes[0]


def test_a_pasted_block_is_a_line() -> None:
    notes: list[str] = []
    line = read_pasted(foreign_samples.A1111, notes.append)
    assert line is not None and parse_line(line).seed == 965400086
    assert "ControlNet 0" in notes[0]
    for text in ("a cat\na dog", "a cat", '{"prompt": "x"}'):
        assert read_pasted(text, notes.append) is None


def test_a_pasted_block_without_its_line_breaks_is_a_line() -> None:
    """As it comes out of a field of one line."""
    end = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64"
    for text in (f"a (red:1.2) cat\nNegative prompt: dog\n{end}", f"a cat\n{end}"):
        assert read_pasted(text.replace("\n", " "), print) == read_pasted(text, print) is not None
    for text in ("two Steps: 20, 30 of them", "a Steps: 20, Sampler: x", f"a\ncat {end}"):
        assert read_pasted(text, print) is None, text


def test_the_shell_replays_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    for name in ("forge.png", "mold.jpg"):
        (tmp_path / "images" / name).write_bytes((FOLDER / name).read_bytes())
    assert main(["--from_file", "images", "--dry_run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [parse_line(line).prompt for line in lines] == ["a red circle"] * 2
    Path("empty").mkdir()
    assert main(["--from_file", "empty", "--dry_run"]) == 2
    assert "without images that say how they were made" in capsys.readouterr().err


@pytest.mark.parametrize(
    "prompt",
    [
        "!del_model tiny --files --yes",
        "q",
        "\x1b[2J\x1b]0;x\x07",
        "a\n!del_model x",
        '" --outdir=/ -n9999 "',
        "-I /etc/passwd",
        "--help",
    ],
)
def test_a_foreign_prompt_is_a_prompt_and_nothing_else(tmp_path: Path, prompt: str) -> None:
    text = f"{prompt}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"
    save_png(tmp_path / "a.png", {"parameters": text})
    Image.new("RGB", (64, 64)).save(tmp_path / "b.png")
    graph = json.loads(json.dumps(foreign_samples.COMFY))
    graph["20"]["inputs"]["value"] = prompt
    (tmp_path / "b.json").write_text(json.dumps(graph))
    for name in ("a.png", "b.png"):
        line = read_image_line(tmp_path / name).line
        assert line.startswith('"') and line.isprintable()
        request = parse_line(line)
        words = request.prompt.replace("\\[", "[").replace("\\]", "]")
        assert words.split() == prompt.split()
        assert (request.outdir, request.init_img, request.iterations) == (None, None, 1)


def test_names_from_an_image_are_clean(tmp_path: Path) -> None:
    model = '"\x1b[31m\\u001b[2J\\n!rm"'
    text = f"x\nSteps: 2, Seed: 1, Size: 64x64, Model: {model}, Odd: 1, Version: \x1b[1m"
    save_png(tmp_path / "a.png", {"parameters": text})
    (note,) = read_image_line(tmp_path / "a.png").notes
    assert note.isprintable()


def test_a_line_of_endless_text_is_refused(session: Session, tmp_path: Path) -> None:
    text = f"{'x' * 100_000}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"
    save_png(tmp_path / "a.png", {"parameters": text})
    (event,) = happened(session, "!fetch a.png")
    assert isinstance(event, Rejected) and "the limit is 32,768" in str(event.error)
