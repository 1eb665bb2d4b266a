"""Models arrive: from the disk, from an address, from the hub (a stub of it on this machine)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event as Signal

import pytest

from dream.commands import COMMANDS, Context, get_questions, run_line
from dream.commands.download_events import follow_download
from dream.core.events import Event, Note, Rejected, Step
from dream.session import Session
from tests.catalogue.hub_stub import Hub, hub_at_home
from tests.catalogue.server import Release, serving
from tests.catalogue.test_detect import FIRST, SD1, SD2, XL, Shapes, pickled, write
from tests.fakes import fake_registry, fake_session

INDEX = json.dumps({"_class_name": "StableDiffusionPipeline"}).encode()
FILES = {
    "README.md": b"words",
    "model_index.json": INDEX,
    "unet/config.json": b'{"sample_size": 64}',
    "unet/diffusion_pytorch_model.safetensors": b"full" * 1000,
    "unet/diffusion_pytorch_model.fp16.safetensors": b"half" * 500,
    "unet/diffusion_pytorch_model.bin": b"pickle",
    "vae/diffusion_pytorch_model.safetensors": b"only",
    "safety_checker/model.safetensors": b"no",
    "model.ckpt": b"no",
}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return fake_session(tmp_path)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_at_home(Hub("some/model", FILES)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def events_of(session: Session, line: str) -> list[Event]:
    return list(run_line(Context(session, list, COMMANDS), line))


def output_of(session: Session, line: str) -> str:
    return "\n".join(event.text for event in events_of(session, line) if isinstance(event, Note))


def refusal(session: Session, line: str) -> str:
    (error,) = (e.error for e in events_of(session, line) if isinstance(e, Rejected))
    return str(error)


def toml(tmp_path: Path) -> str:
    return (tmp_path / "models" / "models.toml").read_text("utf-8")


# ── from the disk ──────────────────────────────────────────────────────────────────────────────


def test_a_folder_elsewhere_stays_there_and_is_listed(session: Session, tmp_path: Path) -> None:
    fake_registry(tmp_path / "my things", "mine")
    note = output_of(
        session, '!import_model "my things/mine" --name=good --description "the good one"'
    )
    assert note.startswith("imported good: sd1, 64x64") and "!switch good" in note
    info = session.registry.get_model("good")
    assert (info.path, info.description) == (tmp_path / "my things" / "mine", "the good one")
    assert "already" in refusal(session, '!import_model "my things/mine" --name tiny')


def test_of_a_folder_of_models_all_come(session: Session, tmp_path: Path) -> None:
    fake_registry(tmp_path / "many", "one", "two", "tiny")
    notes = output_of(session, "!import_model many")
    assert "skipped: model tiny already exists" in notes
    assert [info.name for info in session.registry.list_models()] == ["one", "tiny", "two"]


def test_models_are_found_however_deep_and_other_files_left_out(
    session: Session, tmp_path: Path
) -> None:
    fake_registry(tmp_path / "many" / "diffusers" / "here", "folder")
    part = tmp_path / "many" / "diffusers" / "here" / "folder" / "vae"
    for folder in ("many/a", "many/b/c", "many/.hidden", str(part)):
        (tmp_path / folder).mkdir(parents=True)
    write(part / "diffusion_pytorch_model.safetensors", {"decoder.conv_in.weight": (4,)})
    write(tmp_path / "many" / ".hidden" / "none.safetensors", SD1)
    write(tmp_path / "many" / "a" / "paint.safetensors", SD1)
    write(tmp_path / "many" / "a" / "paint.ckpt", SD1)
    write(tmp_path / "many" / "b" / "c" / "paint.safetensors", XL)
    write(tmp_path / "many" / "b" / "model.safetensors", SD1)
    for n in range(7):
        write(tmp_path / "many" / f"style{n}.safetensors", {"x.lora_up.weight": (4, 8)})
    shown = asking(session, "!import_model many", "all")[0][0]
    for name in ("'  1  b', 'sd1", "'  2  c-paint', 'sdxl", "'  3  folder', 'sd1", "'  4  paint'"):
        assert name in shown
    assert "'  5" not in shown and "style0.safetensors is a LoRA, not a model" in shown
    notes = output_of(session, "!import_model many --all")
    assert notes.count("is a LoRA, not a model") == 5 and "skipped: 2 more" in notes
    names = [info.name for info in session.registry.list_models()]
    assert names == ["b", "c-paint", "folder", "paint", "tiny"]
    assert session.registry.get_model("paint").path.suffix == ".safetensors"


def test_what_is_said_of_one_model_is_not_said_of_several(session: Session, tmp_path: Path) -> None:
    fake_registry(tmp_path / "many", "one")
    assert "imported mine:" in output_of(
        session, "!import_model many --name mine --description=good"
    )
    assert session.registry.get_model("mine").description == "good"
    assert asking(session, "!import_model many --name its", "")[1] == (
        f"!import_model {tmp_path}/many/one --name=its",
    )
    assert "no EMA weights" in refusal(session, "!import_model many --ema")
    fake_registry(tmp_path / "many", "two")
    for options in ("--name mine", "--ema", "--name mine --all"):
        assert "applies to one model, but these are 2" in refusal(
            session, f"!import_model many {options}"
        )
        done = asking(session, f"!import_model many {options}", *["1,2"][: "all" not in options])
        assert "applies to one" in refusal(session, done[1][0])


def test_a_place_is_written_without_detours(session: Session, tmp_path: Path) -> None:
    fake_registry(tmp_path / "big", "mine")
    (tmp_path / "models" / "link").symlink_to(tmp_path / "big")
    events_of(session, "!import_model models/../big/mine --name one")
    assert session.registry.find_paths()["one"] == tmp_path / "big" / "mine"
    events_of(session, "!import_model models/link/mine --name two")
    assert session.registry.find_paths()["two"] == tmp_path / "models" / "link" / "mine", (
        "links stay"
    )
    events_of(session, "!import_model models/link/../big/mine --name three")
    assert session.registry.get_model("three").width == 64


def test_a_file_with_averages_says_so_and_may_be_asked_for_them(
    session: Session, tmp_path: Path
) -> None:
    path = write(tmp_path / "full.safetensors", SD1 | {"model_ema.decay": ()})
    assert "!edit_model full --ema uses them" in output_of(session, f"!import_model {path}")
    assert "EMA" not in output_of(session, f"!import_model {path} --name=averages --ema")
    assert session.registry.get_model("averages").ema and not session.registry.get_model("full").ema
    filling = write(tmp_path / "filling.safetensors", SD1 | {FIRST: (320, 9, 3, 3)})
    assert "imported filling: sd1 inpainting" in output_of(session, f"!import_model {filling}")
    plain = write(tmp_path / "plain.safetensors", SD1)
    assert "no EMA weights" in refusal(session, f"!import_model {plain} --ema")
    assert "plain" not in session.registry.find_paths()


# ── asked at a terminal ────────────────────────────────────────────────────────────────────────


def asking(session: Session, line: str, *answers: str) -> tuple[list[str], tuple[str, ...]]:
    """What is asked, with what lies ready; and the lines to do instead."""
    questions = get_questions(Context(session, list, COMMANDS), line)
    shown: list[str] = []
    try:
        question = next(questions)
        for answer in answers:
            about = "".join(f"{row} " for row in question.about)
            shown.append(f"{about}{question.text} {question.default}".rstrip())
            question = questions.send(answer)
    except StopIteration as end:
        return shown, end.value
    raise AssertionError(f"and {question}")


def test_what_is_missing_is_asked_for(session: Session, tmp_path: Path) -> None:
    fake_registry(tmp_path / "my things", "mine")
    line = f'!import_model "{tmp_path}/my things/mine"'
    shown, (done,) = asking(session, line, "tiny", "my own", "the good one")
    assert shown[0] == "Name: mine"
    assert "model tiny already exists" in shown[1]
    assert shown[2] == "Description:"
    assert done == f'{line} --name="my own" --description="the good one"'
    events_of(session, done)
    assert session.registry.get_model("my own").description == "the good one"
    assert asking(session, line, "", "my own", "")[0][0].endswith("Name: my own"), "as listed"
    assert asking(session, f"{line} --name x --description y") == (
        [],
        (f"{line} --name=x --description=y",),
    )
    assert asking(session, f"{line} --ema --name x", "y")[1][0].endswith("--ema")


def test_of_several_some_may_be_taken(session: Session, tmp_path: Path) -> None:
    fake_registry(tmp_path / "many", "one", "two", "three")
    shown, lines = asking(session, "!import_model many", "4", "1,3")
    assert "one" in shown[0] and shown[0].endswith("(numbers, or all)? all")
    assert "“4” is not in the list" in shown[1]
    for line in lines:
        events_of(session, line)
    assert [info.name for info in session.registry.list_models()] == ["one", "tiny", "two"]
    everything = (f"!import_model {tmp_path / 'many'} --all",)
    assert asking(session, "!import_model many", "all")[1] == everything
    assert asking(session, "!import_model many", "2", "third", "")[1] == (
        f"!import_model {tmp_path / 'many' / 'three'} --name=third",
    )
    assert asking(session, "!import_model many --all") == ([], ("!import_model many --all",))


@pytest.mark.parametrize(
    "line",
    [
        "!import_model nowhere.ckpt",
        "!import_model page.safetensors",
        "!import_model x --size 3",
        "!import_model empty",
        "!import_model",
        "!models",
        "!nothing",
        "a cat",
        "",
    ],
)
def test_nothing_is_asked_about_what_is_refused_anyway(
    session: Session, tmp_path: Path, line: str
) -> None:
    (tmp_path / "page.safetensors").write_text("<html>")
    (tmp_path / "empty").mkdir()
    shown, (done,) = asking(session, line)
    assert shown == [] and done.split()[:1] == line.split()[:1]


def test_the_name_of_what_is_to_be_fetched_is_asked_for_too(session: Session, hub: Hub) -> None:
    assert asking(session, "!import_model some/model@v2", "m", "")[0][0].endswith("Name: model")
    address = "https://example.org/v1.safetensors"
    assert asking(session, f"!import_model {address}", "m", "")[0][0].endswith("Name: v1")
    assert hub.requests == [], "nothing is fetched for a question"
    session.registry = replace(session.registry, offline=True)
    assert asking(session, "!import_model some/model") == ([], ("!import_model some/model",))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("", "needs a file, a folder, a URL"),
        ("nowhere.ckpt", "nowhere.ckpt does not exist"),
        ("page.safetensors", "page.safetensors is a web page"),
        ("empty", "contains no model"),
        ("x --size 3", "has no option --size"),
        ("x --name", "--name needs a value"),
        ("models/nosuch.safetensors", "models/nosuch.safetensors does not exist"),
        ("models/nosuch", "models/nosuch does not exist"),
        ("~nobody-here/x.ckpt", "~nobody-here/x.ckpt does not exist"),
    ],
)
def test_what_is_no_model_is_refused_and_not_listed(
    session: Session, tmp_path: Path, what: str, why: str
) -> None:
    (tmp_path / "page.safetensors").write_text("<html>")
    (tmp_path / "empty").mkdir()
    assert why in refusal(session, f"!import_model {what}")
    assert not (tmp_path / "models" / "models.toml").exists()


def test_invokeai_s_list_is_taken_over(session: Session, tmp_path: Path) -> None:
    fake_registry(tmp_path / "invokeai" / "models", "folder")
    (tmp_path / "invokeai" / "configs").mkdir()
    (tmp_path / "invokeai" / "models" / "v1.ckpt").write_bytes(b"")
    file = tmp_path / "invokeai" / "configs" / "models.yaml"
    file.write_text(
        "sd-1.5:\n  description: the old one\n  weights: models/v1.ckpt\n  width: 512\n"
        "  config: configs/v1.yaml\n  default: true\n"
        "folder:\n  format: diffusers\n  path: models/folder\n"
        "hub:\n  format: diffusers\n  repo_id: some/model\n"
        "gone:\n  weights: models/gone.ckpt\n"
    )
    notes = output_of(session, "!import_models_yaml invokeai/configs/models.yaml")
    assert "skipped hub: to download it: !import_model some/model --name hub" in notes
    assert "skipped gone: there is no models/gone.ckpt" in notes
    assert session.registry.find_paths()["sd-1.5"].name == "v1.ckpt"
    assert session.registry.get_model("folder").width == 64
    assert 'description = "the old one"' in toml(tmp_path) and "default = true" in toml(tmp_path)
    assert "VAE" not in notes
    file.write_text("!!python/object/apply:os.system [exit]")
    assert "cannot be read" in refusal(session, f"!import_models_yaml {file}")


def test_of_invokeai_s_list_a_vae_that_is_not_here_and_a_second_default_are_told(
    session: Session, tmp_path: Path
) -> None:
    fake_registry(tmp_path / "theirs", "one", "two", "three")
    (tmp_path / "my.vae.pt").write_bytes(b"")
    file = tmp_path / "models.yaml"
    file.write_text(
        "one:\n  path: theirs/one\n  default: true\n  vae:\n    repo_id: some/vae\n"
        "two:\n  path: models/../theirs/two\n  vae: gone.vae.pt\n"
        "three:\n  path: theirs/three\n  vae: models/../my.vae.pt\n"
    )
    events_of(session, "!edit_model tiny default true")
    notes = output_of(session, f"!import_models_yaml {file}")
    assert session.registry.get_default_model() == "tiny" and "tiny stays the default" in notes
    assert "one uses its own VAE because some/vae was not found; !edit_model one vae" in notes
    assert "two uses its own VAE because gone.vae.pt was not found" in notes
    assert "three uses" not in notes
    assert session.registry.get_model("three").vae == str(tmp_path / "my.vae.pt")
    assert session.registry.find_paths()["two"] == tmp_path / "theirs" / "two"
    events_of(session, "!edit_model tiny default none")
    events_of(session, f"!import_models_yaml {file}")
    assert session.registry.get_default_model() == "one"


# ── from an address ────────────────────────────────────────────────────────────────────────────


def test_an_address_is_fetched_and_what_came_is_looked_at(session: Session, tmp_path: Path) -> None:
    with serving(Release(b"<html>login</html>")) as release:
        url = release.url.replace("net.pth", "v1.safetensors")
        events = events_of(session, f"!import_model {url}")
        steps = [event for event in events if isinstance(event, Step)]
        assert (steps[-1].stage, steps[-1].step) == ("fetch", len(release.body))
        assert f"{url} is a web page, not a model; the download was removed" in str(events[-1])
        assert in_models(tmp_path) == [], "and does not stand in the way of a better one"
        release.status = 404
        assert "returned 404" in refusal(session, f"!import_model {url}")
        assert not (tmp_path / "models" / "arriving").exists()
        release.status = 200
        release.body = body(tmp_path, SD1)
        assert "imported v1: sd1" in output_of(session, f"!import_model {url}")
    assert in_models(tmp_path) == ["v1.safetensors"]


def body(tmp_path: Path, shapes: Shapes) -> bytes:
    return write(tmp_path / "body", shapes).read_bytes()


def in_models(tmp_path: Path) -> list[str]:
    """What has arrived, or is on its way."""
    models = tmp_path / "models"
    files = (path.relative_to(models) for path in models.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if path.parts[0] not in ("tiny", "models.toml"))


def test_two_files_of_one_name_are_two_models(session: Session, tmp_path: Path) -> None:
    with serving(Release(body(tmp_path, SD1))) as one, serving(Release(body(tmp_path, XL))) as two:
        first, second = (r.url.replace("net.pth", "model.safetensors") for r in (one, two))
        assert "imported one: sd1" in output_of(session, f"!import_model {first} --name one")
        assert "imported two: sdxl" in output_of(session, f"!import_model {second} --name two")
        assert in_models(tmp_path) == ["one.safetensors", "two.safetensors"]
        assert "imported model: sd1" in output_of(session, f"!import_model {first}")
        requests = len(two.requests)
        why = refusal(session, f"!import_model {second}")
        assert "model model already exists" in why and "choose another --name" in why
        assert "cannot be the name of a file" in refusal(
            session, f"!import_model {second} --name ../x"
        )
        assert len(two.requests) == requests, "nothing is fetched in vain"
    assert [info.name for info in session.registry.list_models()] == ["model", "one", "tiny", "two"]


def test_of_what_is_no_model_only_a_vae_stays(session: Session, tmp_path: Path) -> None:
    with serving(Release(body(tmp_path, {"x.lora_up.weight": (4, 8)}))) as release:
        lora = release.url.replace("net.pth", "style.safetensors")
        assert "is a LoRA, not a model; the download was removed" in refusal(
            session, f"!import_model {lora}"
        )
        assert in_models(tmp_path) == []
        release.body = body(tmp_path, {"decoder.conv_in.weight": (4,)})
        vae = release.url.replace("net.pth", "soft.vae.pt")
        assert "is a VAE; !vae soft uses it" in output_of(session, f"!import_model {vae}")
        assert "already" in refusal(session, f"!import_model {vae}")
    assert session.registry.get_vae("soft") == tmp_path / "models" / "VAE" / "soft.safetensors"


def test_an_address_that_names_no_file_is_asked_what_it_has(
    session: Session, tmp_path: Path
) -> None:
    data = pickled(tmp_path / "body.ckpt").read_bytes()
    with serving(
        Release(data, disposition='attachment; filename="v1 fine.safetensors"')
    ) as release:
        url = release.url.replace("net.pth", "models/1234?type=Model")
        assert "imported v1 fine: sd1" in output_of(session, f"!import_model {url}")
        assert in_models(tmp_path) == ["v1 fine.ckpt"], "by what it is, not by what it says it is"
        assert "imported mine: sd1" in output_of(session, f"!import_model {url} --name mine")
        release.disposition = ""
        assert "its server does not send a file name" in refusal(session, f"!import_model {url}")
        assert "imported its: sd1" in output_of(session, f"!import_model {url} --name its")
        assert asking(session, f"!import_model {url}", "", "good") == (
            ["Name (Enter keeps the original):", "Description:"],
            (f"!import_model {url} --description=good",),
        )


def test_what_a_file_s_own_name_tells_of_it_is_kept_under_another(
    session: Session, tmp_path: Path
) -> None:
    with serving(Release(body(tmp_path, SD2))) as release:
        url = release.url.replace("net.pth", "512-base-ema.safetensors")
        events_of(session, f"!import_model {url} --name mine")
    assert session.registry.get_model("mine").prediction == "epsilon"


def test_averages_that_are_not_there_cost_no_second_download(
    session: Session, tmp_path: Path
) -> None:
    with serving(Release(body(tmp_path, SD1))) as release:
        url = release.url.replace("net.pth", "v1.safetensors")
        assert "no EMA weights" in refusal(session, f"!import_model {url} --ema")
        assert "v1" not in session.registry.find_paths()
        assert "imported v1:" in output_of(session, f"!import_model {url}")
        assert len(release.requests) == 1


# ── from the hub ───────────────────────────────────────────────────────────────────────────────


def test_the_hub_gives_what_the_model_needs_and_no_more(
    session: Session, hub: Hub, tmp_path: Path
) -> None:
    events = events_of(session, "!import_model some/model")
    folder = tmp_path / "models" / "model"
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.name[0] != "."}
    assert {name for name in there if (folder / name).is_file()} == {
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }
    steps = [event for event in events if isinstance(event, Step)]
    assert (
        steps[-1].step
        == steps[-1].steps
        == sum((folder / name).stat().st_size for name in there if (folder / name).is_file())
    )
    assert hub.requests[-1].endswith("model_index.json"), "half a model is not taken for one"
    assert session.registry.get_model("model").width == 64 * 8
    requests = len(hub.requests)
    events_of(session, "!import_model some/model")
    assert hub.requests[requests:] == ["/api/models/some/model"], (
        "what is here is not fetched again"
    )


def test_of_two_repositories_of_one_name_the_second_needs_another(
    session: Session, hub: Hub, tmp_path: Path
) -> None:
    events_of(session, "!import_model some/model")
    hub.repo, requests = "other/model", len(hub.requests)
    why = refusal(session, "!import_model other/model")
    assert "model model already exists" in why and "choose another --name" in why
    assert len(hub.requests) == requests
    assert "imported theirs:" in output_of(session, "!import_model other/model --name theirs")
    assert "has no third/one" in refusal(session, "!import_model third/one")
    assert not (tmp_path / "models" / "one").exists()


def test_a_revision_and_a_variant(session: Session, hub: Hub, tmp_path: Path) -> None:
    text = output_of(session, "!import_model some/model@v2:fp16 --name half")
    assert "some/model has no fp16 weights for vae; other weights" in text.splitlines()[0]
    assert "/api/models/some/model/revision/v2" in hub.requests
    weights = sorted((tmp_path / "models" / "half").glob("*/*.safetensors"))
    assert [path.name for path in weights] == [
        "diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.safetensors",
    ]


def test_a_variant_that_is_not_there_is_told_before_others_come(session: Session, hub: Hub) -> None:
    text = output_of(session, "!import_model some/model:bf16").splitlines()
    assert (
        "some/model has no bf16 weights for unet, vae; other weights" in text[0]
        and "files" in text[1]
    )


def test_a_download_that_was_cut_goes_on(session: Session, hub: Hub, tmp_path: Path) -> None:
    hub.cut = True
    assert "continues from there" in refusal(session, "!import_model some/model")
    for _ in FILES:
        events_of(session, "!import_model some/model")
    weights = tmp_path / "models" / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    assert weights.read_bytes() == FILES["unet/diffusion_pytorch_model.safetensors"]
    assert "model" in session.registry.find_paths()


def test_a_gated_model_says_where_to_accept_its_licence(
    session: Session, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated, hub.token = True, "hf_secret"
    why = refusal(session, "!import_model some/model")
    assert "is gated" in why and f"{hub.url}/some/model" in why and "hf auth login" in why
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "imported model:" in output_of(session, "!import_model some/model")


def test_what_the_hub_has_not(session: Session, hub: Hub) -> None:
    assert "has no other/model" in refusal(session, "!import_model other/model")
    hub.files = {"v1.safetensors": b"", "README.md": b""}
    why = refusal(session, "!import_model some/model")
    assert "not a model in diffusers layout (it has v1.safetensors: import one by its URL)" in why


def test_nothing_is_asked_where_it_is_forbidden(session: Session, hub: Hub) -> None:
    session.registry = replace(session.registry, offline=True)
    for what in ("some/model", f"{hub.url}/v1.safetensors"):
        assert "--offline does not allow downloads" in refusal(session, f"!import_model {what}")
    (folder,) = session.registry.models_dirs[:1]
    for what, repo, name in (
        ("sdxl", "stabilityai/stable-diffusion-xl-base-1.0", "sdxl"),
        ("a/b@v1", "a/b --revision v1", "b"),
    ):
        hint = f"download it by hand: hf download {repo} --local-dir {folder / name}"
        assert hint in refusal(session, f"!import_model {what}")
    assert asking(session, "!import_model sdxl") == ([], ("!import_model sdxl",))
    assert "is not downloaded, and --offline is set" in refusal_of_upscaler(session)
    assert hub.requests == []
    assert os.environ["HF_ENDPOINT"] == hub.url


def refusal_of_upscaler(session: Session) -> str:
    with pytest.raises(Exception, match="offline") as caught:
        session.registry.get_upscaler("RealESRGAN_x4plus")
    return str(caught.value)


def test_a_silent_server_can_be_given_up_too() -> None:
    answers = Signal()

    def work(on_progress: object, say: object) -> None:
        answers.wait(60)

    events = follow_download(work)
    assert isinstance(next(events), Step)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())
    answers.set()


def test_ctrl_c_ends_a_download_and_keeps_what_came(
    session: Session, hub: Hub, tmp_path: Path
) -> None:
    hub.files = {**FILES, "unet/diffusion_pytorch_model.safetensors": b"x" * 3_000_000}
    events = run_line(Context(session, list, COMMANDS), "!import_model some/model")
    while not isinstance(next(events), Step):
        pass
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())
    assert "model" not in session.registry.find_paths()
    events_of(session, "!import_model some/model")
    assert "model" in session.registry.find_paths()
