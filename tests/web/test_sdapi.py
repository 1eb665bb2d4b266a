"""AUTOMATIC1111's API over a real port: literal requests, and what its clients read."""

from __future__ import annotations

import base64
import html
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dream.options.foreign_names import find_sampling
from dream.options.sampler_table import SAMPLERS
from dream.web.client_values import NOTES_HEADER
from dream.web.refusal import shorten_paths
from tests.web.serving import Served, serve_fake
from tests.web.test_own_api import Held

INFO_KEYS = (
    "prompt all_prompts negative_prompt all_negative_prompts seed all_seeds subseed all_subseeds"
    " subseed_strength width height sampler_name cfg_scale steps batch_size restore_faces"
    " face_restoration_model sd_model_name sd_model_hash sd_vae_name sd_vae_hash"
    " seed_resize_from_w seed_resize_from_h denoising_strength extra_generation_params"
    " index_of_first_image infotexts styles job_timestamp clip_skip"
    " is_using_inpainting_conditioning version"
)
STATE_KEYS = (
    "skipped interrupted stopping_generation job job_count job_timestamp job_no sampling_step"
    " sampling_steps"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fake(tmp_path_factory.mktemp("sdapi")) as served:
        yield served


def encode(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def decode(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def post(served: Served, path: str, **body: Any) -> Any:
    answer = served.post(f"/sdapi/v1/{path}", **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_txt2img_answers_images_and_every_key_of_info(served: Served) -> None:
    """Image i has the first seed plus i; a password in the body is in no answer."""
    body = {
        "prompt": "a (red:1.3) cat",
        "negative_prompt": "dog",
        "seed": 42,
        "n_iter": 2,
        "steps": 4,
        "cfg_scale": 0,
        "width": 128,
        "height": 64,
        "sampler_name": "Euler a",
        "scheduler": "automatic",
        "auth": "user:secret",
        "url": "http://x",
        "styles": ["Cinematic"],
        "override_settings": {"sd_model_checkpoint": "twin [0123456789]"},
        "tiling": False,
    }
    answer = served.post("/sdapi/v1/txt2img", **body)
    made = answer.json()
    assert "secret" not in answer.text and NOTES_HEADER in answer.headers
    assert "styles" in answer.headers[NOTES_HEADER]
    assert [decode(image).size for image in made["images"]] == [(128, 64)] * 2
    info = json.loads(made["info"])
    assert set(info) == set(INFO_KEYS.split())
    assert info["all_seeds"] == [42, 43] and info["seed"] == 42
    assert info["sampler_name"] == "Euler a" and info["sd_model_name"] == "twin"
    assert info["infotexts"][1].startswith("a (red:1.3) cat\nNegative prompt: dog\nSteps: 4,")
    assert "Seed: 43" in info["infotexts"][1]
    assert made["parameters"]["width"] == 128 and made["parameters"]["n_iter"] == 2
    rendered = served.engine.rendered[-2:]
    assert [recipe.seed for recipe in rendered] == [42, 43]
    assert {recipe.syntax for recipe in rendered} == {"a1111"}
    assert rendered[0].cfg_scale == 1 and rendered[0].sampler == "k_euler_a"
    log = (served.session.outdir / "dream_log.txt").read_text()
    assert "--syntax=a1111" in log and info["extra_generation_params"]["dream"] in log


def test_a_note_is_shown_at_the_prompt_too(served: Served) -> None:
    post(served, "txt2img", prompt="noted", eta=0.5, scheduler="gibberish")
    job = served.server.services.jobs.list_finished()[0]
    notes = [event.text for event in job.events if event.name == "note"]  # type: ignore[attr-defined]
    assert "eta is not supported and was ignored" in notes
    assert "scheduler gibberish is not supported and was ignored" in notes


@pytest.mark.parametrize("prompt", ["!del_model tiny", "a -o /etc -n 9999", "a\nb", '"', "", "🎨"])
def test_words_of_a_client_never_become_a_line(served: Served, prompt: str) -> None:
    before = len(served.engine.rendered)
    made = post(served, "txt2img", prompt=prompt, seed=1)
    (recipe,) = served.engine.rendered[before:]
    assert recipe.prompt == prompt
    line = json.loads(made["info"])["extra_generation_params"]["dream"]
    assert served.session.parse_line(line).prompt == prompt


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"sampler_name": "nothing"}, 404, "Sampler not found"),
        ({"steps": "many"}, 422, "“steps” has to be a whole number"),
        ({"steps": 10**30}, 422, "whole number"),
        ({"steps": 5000}, 400, "1 to 1000"),
        ({"width": 100_000}, 400, "64 to 4096"),
        ({"batch_size": 1000}, 422, "from 1 to 32"),
        ({"script_name": "x"}, 422, "scripts"),
        ({"prompt": ["a"]}, 422, "text"),
        ({"override_settings": {"sd_model_checkpoint": "/etc/passwd"}}, 404, "no such model"),
        ({"prompt": "a <lora:nothing:1>"}, 400, "nothing"),
        ({"prompt": "a <lora:../../x:1>"}, 400, "path"),
    ],
)
def test_what_is_wrong_is_told_in_the_shape_of_the_door(
    served: Served, body: dict[str, Any], status: int, words: str
) -> None:
    answer = served.post("/sdapi/v1/txt2img", **({"prompt": "a"} | body))
    assert answer.status_code == status and words in answer.json()["detail"]


def test_numbers_that_are_none_are_refused(served: Served) -> None:
    for value in ("NaN", "Infinity", "1e999", "-1e999"):
        answer = served.http.post(
            "/sdapi/v1/txt2img",
            content=f'{{"prompt": "a", "cfg_scale": {value}, "steps": {value}}}',
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 422 and "detail" in answer.json()


def test_hires_fix_has_the_final_size(served: Served) -> None:
    made = post(
        served, "txt2img", prompt="a", enable_hr=True, width=64, height=96, denoising_strength=0.4
    )
    assert decode(made["images"][0]).size == (128, 192)
    assert served.engine.rendered[-1].hires_fix == 0.4
    made = post(served, "txt2img", prompt="a", enable_hr=True, width=64, height=64, hr_resize_x=96)
    assert decode(made["images"][0]).size == (96, 96)


def test_a_variation_keeps_the_seed(served: Served) -> None:
    made = post(served, "txt2img", prompt="a", seed=5, subseed=7, subseed_strength=0.2, n_iter=2)
    info = json.loads(made["info"])
    assert info["all_seeds"] == [5, 5] and info["all_subseeds"] == [7, 8]
    assert served.engine.rendered[-1].with_variations == ((8, 0.2),)


def test_img2img_resizes_and_paints_where_the_mask_is_white(served: Served) -> None:
    image = Image.new("RGB", (100, 50), "red")
    mask = Image.new("L", (100, 50))
    mask.paste(255, (0, 0, 50, 50))
    body = {"prompt": "a", "init_images": [f"data:image/png;base64,{encode(image)}"]}
    made = post(
        served, "img2img", **body, mask=encode(mask), width=64, height=64, inpainting_fill=1
    )
    assert decode(made["images"][0]).size == (64, 64)
    recipe = served.engine.rendered[-1]
    assert recipe.strength == 0.75 and recipe.mask_blur == 4 and not recipe.invert_mask
    ours = Image.open(str(recipe.init_mask))
    assert ours.size == (64, 64)
    assert ours.getpixel((5, 30)) == 0 and ours.getpixel((60, 30)) == 255
    post(served, "img2img", **body, mask=encode(mask), inpainting_mask_invert=1, inpainting_fill=2)
    recipe = served.engine.rendered[-1]
    assert recipe.inpaint_replace == 1
    ours = Image.open(str(recipe.init_mask))
    assert ours.size == (100, 50)
    assert ours.getpixel((5, 30)) == 255 and ours.getpixel((90, 30)) == 0
    info = json.loads(made["info"])
    assert info["denoising_strength"] == 0.75 and made["parameters"]["init_images"] is None


def test_an_opaque_part_of_a_mask_is_painted(served: Served) -> None:
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    mask.paste((0, 0, 0, 255), (0, 0, 32, 64))
    image = encode(Image.new("RGB", (64, 64), "red"))
    post(served, "img2img", prompt="a", init_images=[image], mask=encode(mask))
    recipe = served.engine.rendered[-1]
    ours = Image.open(str(recipe.init_mask))
    assert ours.getpixel((5, 30)) == 0 and ours.getpixel((60, 30)) == 255


@pytest.mark.parametrize(
    ("mode", "corner", "left"),
    [(0, "red", "red"), (1, "blue", "blue"), (2, "red", "red")],
)
def test_resize_modes(served: Served, mode: int, corner: str, left: str) -> None:
    """A wide image, red at both ends, becomes square."""
    image = Image.new("RGB", (256, 64), "blue")
    image.paste("red", (0, 0, 64, 64))
    image.paste("red", (192, 0, 256, 64))
    body = {"prompt": "a", "init_images": [encode(image)], "width": 64, "height": 64}
    post(served, "img2img", **body, resize_mode=mode)
    made = Image.open(str(served.engine.rendered[-1].init_img))
    colours = {"red": (255, 0, 0), "blue": (0, 0, 255)}
    assert made.size == (64, 64)
    assert made.getpixel((1, 1)) == colours[corner]
    assert made.getpixel((1, 32)) == colours[left]
    if mode == 2:
        assert made.getpixel((32, 1)) == colours["blue"], "the edge is drawn out"


def test_masked_content_is_filled_from_around(served: Served) -> None:
    image = Image.new("RGB", (64, 64), "red")
    image.paste("blue", (16, 16, 48, 48))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    body = {"prompt": "a", "init_images": [encode(image)], "mask": encode(mask)}
    for fill, expected in ((0, (255, 0, 0)), (1, (0, 0, 255)), (3, (128, 128, 128))):
        post(served, "img2img", **body, inpainting_fill=fill)
        made = Image.open(str(served.engine.rendered[-1].init_img))
        assert made.getpixel((32, 32)) == expected
        assert made.getpixel((17, 32)) == (0, 0, 255), "what the soft edge shows is unchanged"
        assert made.getpixel((2, 2)) == (255, 0, 0)


@pytest.mark.parametrize(
    "image", ["http://127.0.0.1:1/x.png", "file:///etc/passwd", "@@@", "QUJD", "", 3, None]
)
def test_a_wrong_image_is_refused(served: Served, image: object) -> None:
    answer = served.post("/sdapi/v1/img2img", prompt="a", init_images=[image])
    assert answer.status_code in (400, 422) and answer.json()["detail"]
    assert "/tmp" not in answer.text
    assert served.post("/sdapi/v1/img2img", prompt="a").status_code == 404


def test_extras_upscale(served: Served) -> None:
    image = encode(Image.new("RGB", (64, 48), "red"))
    name = post_get(served, "upscalers")[1]["name"]
    made = post(
        served, "extra-single-image", image=image, upscaler_1=name.upper(), upscaling_resize=2
    )
    assert decode(made["image"]).size == (128, 96) and made["html_info"].startswith("<p>")
    made = post(
        served,
        "extra-single-image",
        image=image,
        upscaler_1=name,
        resize_mode=1,
        upscaling_resize_w=128,
        upscaling_resize_h=128,
    )
    assert decode(made["image"]).size == (128, 128)
    made = post(
        served, "extra-batch-images", upscaler_1="None", imageList=[{"data": image, "name": "a"}]
    )
    assert decode(made["images"][0]).size == (64, 48)
    answer = served.post("/sdapi/v1/extra-single-image", image=image, upscaler_1="nothing")
    assert answer.status_code == 404


def test_faces_are_restored_as_theirs(served: Served) -> None:
    """`restore_faces` with the restorer of the options, and the visibilities of the extras tab."""
    names = [row["name"] for row in post_get(served, "face-restorers")]
    assert names == ["GFPGAN", "CodeFormer"]
    chosen = {"face_restoration_model": "CodeFormer", "code_former_weight": 0.3}
    made = post(served, "txt2img", prompt="a", restore_faces=True, override_settings=chosen)
    info = json.loads(made["info"])
    assert info["restore_faces"] is True and info["face_restoration_model"] == "CodeFormer"
    assert list_faces(served, info["extra_generation_params"]["dream"]) == (1, "codeformer", 0.3)
    made = post(served, "txt2img", prompt="a", restore_faces=True)
    assert json.loads(made["info"])["face_restoration_model"] == "GFPGAN"
    for wrong in ({"face_restoration_model": "x"}, chosen | {"code_former_weight": 2}):
        answer = served.post(
            "/sdapi/v1/txt2img", prompt="a", restore_faces=True, override_settings=wrong
        )
        assert answer.status_code in (404, 422)
    image = encode(Image.new("RGB", (64, 48), "red"))
    for wanted, faces in (
        ({"gfpgan_visibility": 0.5}, (0.5, "gfpgan", None)),
        ({"codeformer_visibility": 1, "codeformer_weight": 0.9}, (1, "codeformer", 0.9)),
    ):
        made = post(served, "extra-single-image", image=image, upscaler_1="None", **wanted)
        assert decode(made["image"]).size == (64, 48)
        line = html.unescape(made["html_info"].removeprefix("<p>").removesuffix("</p>"))
        assert list_faces(served, line) == faces


def list_faces(served: Served, line: str) -> tuple[float | None, str | None, float | None]:
    request = served.session.parse_line(line)
    return request.facetool_strength, request.facetool, request.codeformer_fidelity


def test_a_clients_error_names_no_folder_of_this_machine(served: Served) -> None:
    answer = served.post("/sdapi/v1/txt2img", prompt="a <lora:nothing:1>")
    text = answer.json()["detail"]
    assert "nothing" in text
    for folder in served.session.registry.models_dirs:
        assert str(folder) not in text and folder.name in text
    assert shorten_paths("in /home/ann b/models, /x/y (see /api/models)") == (
        "in models, y (see /api/models)"
    )
    assert shorten_paths(r"C:\Users\ann\models is 1/2 full, see https://a.b/c") == (
        "models is 1/2 full, see https://a.b/c"
    )


def post_get(served: Served, name: str) -> Any:
    answer = served.http.get(f"/sdapi/v1/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_png_info_reads_what_an_image_records(served: Served) -> None:
    made = post(served, "txt2img", prompt="a cat", seed=9)
    info = post(served, "png-info", image=made["images"][0])
    assert info["info"].startswith("a cat\nSteps: 3,")
    assert info["parameters"]["Prompt"] == "a cat" and info["parameters"]["Seed"] == "9"
    assert info["parameters"]["Size-1"] == "64" and "parameters" in info["items"]
    nothing = post(served, "png-info", image=encode(Image.new("RGB", (8, 8))))
    assert nothing == {"info": "", "items": {}, "parameters": {}}


def test_every_listed_name_means_what_is_listed(served: Served) -> None:
    rows = post_get(served, "samplers")
    assert len({row["name"] for row in rows}) == len(rows) == len(SAMPLERS)
    for row in rows:
        assert find_sampling(row["name"], "").sampler == row["aliases"][0]
    assert "Euler a" in {row["name"] for row in rows}
    for row in post_get(served, "schedulers"):
        assert find_sampling("Euler", row["name"]).unknown == ()
        assert find_sampling("Euler", row["label"]).unknown == ()
    assert post_get(served, "upscalers")[0]["name"] == "None"
    for row in post_get(served, "sd-models"):
        post(served, "options", sd_model_checkpoint=row["title"])
        assert post_get(served, "options")["sd_model_checkpoint"] == row["title"]
        for title in (row["model_name"], f"{row['model_name']}.safetensors [0123456789]"):
            post(served, "options", sd_model_checkpoint=title)
    post(served, "options", sd_model_checkpoint="tiny")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *((name, list) for name in ("sd-vae", "loras", "hypernetworks", "face-restorers")),
        *((name, list) for name in ("prompt-styles", "script-info", "realesrgan-models")),
        *((name, dict) for name in ("embeddings", "scripts", "memory", "cmd-flags", "options")),
    ],
)
def test_lists_are_there_even_if_empty(served: Served, name: str, shape: type) -> None:
    assert isinstance(post_get(served, name), shape)


def test_null_with_200(served: Served) -> None:
    for name in ("skip", "refresh-checkpoints", "refresh-vae", "refresh-loras", "options"):
        assert post(served, name) is None
    assert post(served, "interrupt") == {}
    assert served.http.get("/sdapi/v1/nothing").json()["detail"]
    assert served.http.post("/sdapi/v1/interrogate", json={}).status_code == 404


def test_an_option_holds_for_this_api_only(served: Served) -> None:
    everything = post_get(served, "options") | {"sd_model_checkpoint": "twin"}
    answer = served.post("/sdapi/v1/options", **everything)
    assert answer.json() is None and NOTES_HEADER not in answer.headers
    assert served.session.base.model is None
    post(served, "txt2img", prompt="a")
    assert served.engine.rendered[-1].model == "twin"
    served.make("a")
    assert served.engine.rendered[-1].model == "tiny"
    assert served.post("/sdapi/v1/options", sd_model_checkpoint="no").status_code == 404
    answer = served.post("/sdapi/v1/options", sd_model_checkpoint="tiny", jpeg_quality=1)
    assert "jpeg_quality" in answer.headers[NOTES_HEADER]


def test_progress_interrupt_and_skip(tmp_path: Path) -> None:
    """Idle is exactly 0; interrupt ends this API's call only and answers what there is."""
    engine = Held()
    with serve_fake(tmp_path, engine) as served:
        idle = post_get(served, "progress")
        assert idle["progress"] == 0.0 and idle["state"]["job_count"] == 0
        assert set(idle["state"]) == set(STATE_KEYS.split())
        answers: list[Any] = []

        def ask(**body: Any) -> threading.Thread:
            thread = threading.Thread(
                target=lambda: answers.append(post(served, "txt2img", prompt="a", **body))
            )
            thread.start()
            assert engine.reached.wait(10)
            engine.reached.clear()
            return thread

        asking = ask(n_iter=3, force_task_id="task(1)")
        for _ in range(1000):  # the job may run before the call knows it
            busy = post_get(served, "progress")
            if busy["state"]["sampling_steps"]:
                break
        assert 0 < busy["progress"] < 1 and busy["current_task"] == "task(1)"
        assert busy["state"]["job_count"] == 3 and busy["state"]["sampling_steps"] == 3
        assert decode(busy["current_image"]).size == (8, 8)
        without = post_get(served, "progress?skip_current_image=true")
        assert without["current_image"] is None
        assert post(served, "skip") is None
        assert engine.reached.wait(10)
        engine.reached.clear()
        assert post_get(served, "progress")["state"]["job_no"] == 1
        assert post(served, "interrupt") == {}
        asking.join(10)
        assert answers[0]["images"] == []
        assert post_get(served, "progress")["progress"] == 0.0
        job = served.post("/api/lines", line="a line of the page").json()["job"]
        assert engine.reached.wait(10)
        assert post_get(served, "progress")["progress"] == 0.0
        post(served, "interrupt")
        engine.go.set()
        assert served.wait(job)["state"] == "done"


@pytest.mark.parametrize("what", ["interrupt", "skip"])
def test_what_ends_an_image_may_come_before_its_job_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    engine, asked = Held(), threading.Event()
    with serve_fake(tmp_path, engine) as served:
        jobs = served.server.services.jobs
        submit = jobs.submit

        def submit_slowly(*arguments: Any, **named: Any) -> Any:
            job = submit(*arguments, **named)
            assert asked.wait(10)
            return job

        monkeypatch.setattr(jobs, "submit", submit_slowly)
        answers: list[Any] = []
        asking = threading.Thread(
            target=lambda: answers.append(post(served, "txt2img", prompt="a"))
        )
        asking.start()
        assert engine.reached.wait(10)
        post(served, what)
        asked.set()
        asking.join(10)
        engine.go.set()
    assert answers[0]["images"] == []
    assert len(engine.rendered) == 1


def test_a_client_that_leaves_ends_its_call(tmp_path: Path) -> None:
    engine = Held()
    with serve_fake(tmp_path, engine) as served:
        with pytest.raises(Exception, match="timed out"):
            served.http.post("/sdapi/v1/txt2img", json={"prompt": "a", "n_iter": 3}, timeout=0.7)
        assert engine.reached.is_set()
        jobs = served.server.services.jobs
        for _ in range(500):
            if jobs.list_finished():
                break
            threading.Event().wait(0.01)
        assert [str(job.state) for job in jobs.list_finished()] == ["cancelled"]
        assert post_get(served, "progress")["progress"] == 0.0
        assert len(engine.rendered) == 1
