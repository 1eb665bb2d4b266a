"""AUTOMATIC1111's API with programs that were written for it, over a real port."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webuiapi
from PIL import Image
from sd_backend_client import DiffusionParams, connect_to_backend

from tests.web.serving import Served, serve_fake

SMALL = {"width": 64, "height": 64, "steps": 2}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fake(tmp_path_factory.mktemp("clients")) as served:
        yield served


def test_webuiapi(served: Served) -> None:
    """Each of its fields is in each of its requests."""
    client = webuiapi.WebUIApi(host="127.0.0.1", port=served.server.address.port)
    with client.session:
        made = client.txt2img(prompt="a cat", seed=7, n_iter=2, **SMALL)
        assert [image.size for image in made.images] == [(64, 64)] * 2
        assert made.info["all_seeds"] == [7, 8] and made.info["sampler_name"] == "Euler a"
        mask = Image.new("L", (64, 64), 255)
        changed = client.img2img(images=[made.image], mask_image=mask, prompt="a dog", **SMALL)
        assert changed.image.size == (64, 64)
        name = client.get_upscalers()[1]["name"]
        upscaled = client.extra_single_image(made.image, upscaler_1=name, upscaling_resize=2)
        assert upscaled.image.size == (128, 128)
        several = client.extra_batch_images([made.image, made.image], upscaler_1="None")
        assert len(several.images) == 2
        assert client.png_info(made.image).info.startswith("a cat\nSteps: 2,")
        client.util_set_model("twin")
        assert client.util_get_current_model() == "twin"
        assert client.util_get_model_names() == ["tiny", "twin"]
        assert "Euler a" in client.util_get_sampler_names()
        assert "automatic" in client.util_get_scheduler_names()
        client.util_wait_for_ready(check_interval=0.01)
        assert client.interrupt() == {} and client.skip() is None
        assert client.refresh_checkpoints() is None
        for ask in (
            *(client.get_cmd_flags, client.get_sd_vae, client.get_loras, client.get_memory),
            *(client.get_latent_upscale_modes, client.get_hypernetworks, client.get_embeddings),
            *(client.get_face_restorers, client.get_realesrgan_models, client.get_prompt_styles),
        ):
            assert ask() is not None
        client.util_set_model("tiny")


def test_sd_backend_client(served: Served) -> None:
    """It checks the type of each value that it reads."""
    client: Any = connect_to_backend(served.url)
    assert type(client).__name__ == "A1111Webservice"
    assert [option.name for option in client.list_checkpoints()] == ["tiny", "twin"]
    for ask in (
        *(client.list_vaes, client.list_loras, client.list_hypernetworks, client.list_samplers),
        *(client.list_schedulers, client.get_scripts, client.get_styles, client.get_capabilities),
        client.get_script_info,
    ):
        ask()
    assert client.progress_check().progress == 0.0
    params = DiffusionParams(prompt="a cat", seed=3, sd_model_name="twin", **SMALL)
    result = client.submit_txt2img(params).wait(60, poll_interval=0.02)
    (image,) = result.images
    assert image.size == (64, 64) and served.engine.rendered[-1].model == "twin"
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    mask.paste((255, 255, 255, 255), (0, 0, 32, 64))
    params = DiffusionParams(prompt="a dog", init_images=[image], mask=mask, **SMALL)
    (changed,) = client.submit_inpaint(params).wait(60, poll_interval=0.02).images
    assert changed.size == (64, 64) and served.engine.rendered[-1].init_mask
    (large,) = client.submit_upscale(image, 128, 128).wait(60, poll_interval=0.02).images
    assert large.size == (128, 128)


def test_sillytavern_starts_and_makes_an_image(served: Served) -> None:
    """Its requests in their order; it sends an empty password, and its own address in the body."""
    headers = {"Authorization": "Basic"}  # and nothing in base64
    for name in (
        *("options", "samplers", "schedulers", "sd-models", "options", "upscalers"),
        *("latent-upscale-modes", "sd-vae"),
    ):
        assert served.http.get(f"/sdapi/v1/{name}", headers=headers).status_code == 200, name
    body = {
        **SMALL,
        "url": "http://127.0.0.1:7860",
        "auth": "me:secret",
        "prompt": "a cat",
        "negative_prompt": "",
        "sampler_name": "DPM++ 2M Karras",
        "scheduler": "Automatic",
        "cfg_scale": 7,
        "override_settings": {"CLIP_stop_at_last_layers": 1, "sd_vae": "Automatic"},
        "override_settings_restore_afterwards": True,
        "clip_skip": 1,
        "save_images": True,
        "send_images": True,
        "do_not_save_grid": False,
        "do_not_save_samples": False,
        "restore_faces": False,
        "enable_hr": False,
        "hr_upscaler": "Latent",
        "hr_scale": 2,
        "hr_additional_modules": [],
        "denoising_strength": 0.7,
        "hr_second_pass_steps": 0,
        "seed": -1,
    }
    answer = served.http.post("/sdapi/v1/txt2img", json=body, headers=headers)
    assert len(answer.json()["images"]) == 1 and "secret" not in answer.text
    assert served.engine.rendered[-1].schedule == "karras"
    assert "x-dream-notes" not in answer.headers
    assert served.http.post("/sdapi/v1/interrupt", headers=headers).json() == {}


def test_open_webui_verifies_and_makes_an_image(served: Served) -> None:
    """It sends back all options to change one."""
    headers = {"authorization": ""}
    assert served.http.get("/sdapi/v1/options", headers=headers).status_code == 200
    models = served.http.get("/sdapi/v1/sd-models", headers=headers).json()
    options = served.http.get("/sdapi/v1/options", headers=headers).json()
    options["sd_model_checkpoint"] = models[1]["title"]
    answer = served.http.post("/sdapi/v1/options", json=options, headers=headers)
    assert answer.status_code == 200
    body = {"prompt": "a cat", "batch_size": 1, "width": 64, "height": 64}
    answer = served.http.post("/sdapi/v1/txt2img", json=body, headers=headers)
    assert len(answer.json()["images"]) == 1
    assert served.engine.rendered[-1].model == "twin"
    served.post("/sdapi/v1/options", sd_model_checkpoint="tiny")


def test_librechat_makes_an_image(served: Served) -> None:
    """It asks for a large image of any model, with nothing before."""
    body = {
        "prompt": "a cat",
        "negative_prompt": "blurry",
        "cfg_scale": 4.5,
        "steps": 22,
        "width": 1024,
        "height": 1024,
    }
    made = served.post("/sdapi/v1/txt2img", **body).json()
    info = json.loads(made["info"])
    assert info["infotexts"][0] and (info["width"], info["height"]) == (1024, 1024)
    assert isinstance(info["seed"], int)


def test_ligsp_finds_nothing(served: Served, tmp_path: Path) -> None:
    """Checks of a local server's safety by others: host names, CORS, headers, addresses."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [Path(sys.executable).with_name("ligsp"), "check", served.url, "--json", report],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
