"""OpenAI's API over a real port, with its own client and with what others send."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image

from dream.core.errors import EngineError
from dream.prompt import parse_prompt
from tests.web.serving import PreviewingEngine, Served, serve_fake
from tests.web.test_own_api import Held, png


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fake(tmp_path_factory.mktemp("openai")) as served:
        yield served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=2) as client:
        yield client


def decode(text: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text or "")))


def test_generate(served: Served, client: openai.OpenAI) -> None:
    """LibreChat's model name, and a size; base64 by default, with the line that makes it again."""
    made = client.images.generate(model="gpt-image-1", prompt="a cat", n=2, size="64x128")
    assert made.data and len(made.data) == 2 and made.size == "64x128"
    assert decode(made.data[0].b64_json).size == (64, 128)
    assert made.data[0].revised_prompt == served.session.saved[-2].line
    assert served.engine.rendered[-1].model == "tiny"


def test_words_are_words(served: Served, client: openai.OpenAI) -> None:
    """A language model's brackets and signs mean nothing, and nothing is chosen."""
    text = 'A (very) big [red] cat++, AND <lora:x:1> "dog" {a|b} __init__ ${x}\n-n 9999 !del_model'
    client.images.generate(prompt=text)
    recipe = served.engine.rendered[-1]
    ((part,), negative) = (
        parse_prompt(recipe.prompt, recipe.negative, str(recipe.syntax)).positive.parts,
        recipe.negative,
    )
    assert [piece.text for piece in part.pieces] == [text] and negative == ""  # type: ignore[union-attr]
    client.images.generate(prompt="(big:1.3) cat", extra_body={"syntax": "a1111"})
    assert served.engine.rendered[-1].prompt == "(big:1.3) cat"


def test_fields_of_others_and_switches(served: Served, client: openai.OpenAI) -> None:
    more = {
        "seed": 7,
        "num_inference_steps": 4,
        "guidance_scale": 3.5,
        "negative_prompt": "dog",
        "line": "-U2 --seamless",
    }
    made = client.images.with_raw_response.generate(
        prompt="a cat", extra_body=more, output_format="jpeg", style="vivid"
    )
    (image,) = made.parse().data or []
    picture = decode(image.b64_json)
    assert picture.format == "JPEG" and picture.size == (128, 128)
    recipe = served.engine.rendered[-1]
    assert (recipe.seed, recipe.steps, recipe.cfg_scale) == (7, 4, 3.5)
    assert recipe.negative == "dog" and recipe.seamless
    assert "style is not supported" in made.headers["x-dream-notes"]
    for line in ("a dog", "-o /etc", "-I /etc/passwd", "-s0", "-I -1", "!models"):
        with pytest.raises(openai.BadRequestError):
            client.images.generate(prompt="a", extra_body={"line": line})


def test_a_url_only_where_it_is_asked_for(served: Served, client: openai.OpenAI) -> None:
    made = client.images.generate(prompt="a cat", response_format="url")
    assert made.data and made.data[0].url and not made.data[0].b64_json
    answer = served.http.get(made.data[0].url)
    assert answer.headers["content-type"] == "image/png"


def test_stream(client: openai.OpenAI) -> None:
    """Unfinished images in the final size, then each image."""
    stream = client.images.generate(
        prompt="a cat", n=2, stream=True, partial_images=2, extra_body={"steps": 6}
    )
    events: list[Any] = list(stream)
    names = [event.type.removeprefix("image_generation.") for event in events]
    assert names.count("completed") == 2
    assert set(names) == {"partial_image", "completed"}, "previews may be skipped, but not all"
    assert names[-1] == "completed" and 2 <= names.count("partial_image") <= 4
    first = events[0]
    assert first.partial_image_index == 0 and decode(first.b64_json).size == (64, 64)
    assert events[-1].usage.total_tokens == 0


def test_edit_one_and_several(served: Served, client: openai.OpenAI) -> None:
    """The mask is transparent where something new is made."""
    mask = Image.new("RGBA", (64, 72), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 32, 72))
    out = io.BytesIO()
    mask.save(out, "PNG")
    made = client.images.edit(
        image=("a.png", png((64, 72)), "image/png"),
        mask=("m.png", out.getvalue(), "image/png"),
        prompt="a hat",
        extra_body={"strength": 0.9},
    )
    assert made.data and decode(made.data[0].b64_json).size == (64, 72)
    recipe = served.engine.rendered[-1]
    assert recipe.strength == 0.9 and Path(str(recipe.init_mask)).read_bytes() == out.getvalue()
    several = [("a.png", png(), "image/png"), ("b.png", png(colour="blue"), "image/png")]
    raw = client.images.with_raw_response.edit(image=several, prompt="a hat", n=2)
    assert len(raw.parse().data or []) == 2
    assert raw.headers["x-dream-notes"].startswith("only the first image was used")
    stream = client.images.edit(image=several[0], prompt="a hat", stream=True)
    assert [event.type for event in stream][-1] == "image_edit.completed"


def test_edit_with_json(served: Served) -> None:
    image = base64.b64encode(png()).decode()
    for images in ([{"image_url": f"data:image/png;base64,{image}"}], image):
        answer = served.post("/v1/images/edits", prompt="a hat", images=images)
        assert answer.status_code == 200, answer.text
    answer = served.post("/v1/images/edits", prompt="a hat", images=["http://x/y.png"])
    assert answer.status_code == 400 and "URL" in answer.json()["error"]["message"]
    assert served.post("/v1/images/edits", prompt="a hat").status_code == 400


def test_a_variation_of_ones_own_image_has_similar_noise(
    served: Served, client: openai.OpenAI
) -> None:
    made = client.images.generate(prompt="a cat", extra_body={"seed": 5})
    assert made.data
    data = base64.b64decode(made.data[0].b64_json or "")
    with pytest.deprecated_call():
        varied = client.images.create_variation(image=("a.png", data, "image/png"), n=2)
    assert varied.data and len(varied.data) == 2
    recipe = served.engine.rendered[-1]
    assert recipe.prompt == "a cat" and recipe.seed == 5 and recipe.with_variations
    with pytest.deprecated_call():
        client.images.create_variation(image=("a.png", png((64, 64)), "image/png"))
    assert served.engine.rendered[-1].init_img


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "“prompt” is missing"),
        ({"prompt": "a", "n": 11}, 400, "from 1 to 10"),
        ({"prompt": "a", "size": "big"}, 400, "WIDTHxHEIGHT"),
        ({"prompt": "a", "size": "9x9"}, 400, "64 to 4096"),
        ({"prompt": "a", "output_format": "gif"}, 400, "png, jpeg or webp"),
        ({"prompt": 3}, 400, "text"),
        ({"prompt": "a", "stream": "x"}, 400, "true or false"),
        ({"prompt": "a", "model": "no-such"}, 404, "'no-such' does not exist"),
        ({"prompt": "a", "model": "../../etc/passwd"}, 404, "does not exist"),
        ({"prompt": "a", "line": "--model /etc/passwd"}, 400, "not listed"),
        ({"prompt": "a", "syntax": "klingon"}, 400, "syntax"),
    ],
)
def test_errors_have_their_shape_and_are_not_tried_again(
    served: Served, body: dict[str, Any], status: int, words: str
) -> None:
    answer = served.post("/v1/images/generations", **body)
    error = answer.json()["error"]
    assert answer.status_code == status and words in error["message"], answer.text
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-should-retry"] == "false"


def test_models(served: Served, client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny", "twin"]
    assert client.models.retrieve("twin").owned_by == "dream"
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("a/b")
    made = client.images.generate(model="twin", prompt="a")
    assert made.data and served.engine.rendered[-1].model == "twin"


def test_a_failure_is_made_once(tmp_path: Path) -> None:
    """OpenAI's client would send it three times."""
    engine = PreviewingEngine(fails=lambda recipe: EngineError("no memory"))
    with serve_fake(tmp_path, engine) as served:
        url = f"{served.url}/v1"
        with openai.OpenAI(base_url=url, api_key="any", max_retries=2) as client:
            with pytest.raises(openai.APIStatusError, match="no memory"):
                client.images.generate(prompt="a")
            stream = client.images.generate(prompt="a", stream=True)
            with pytest.raises(openai.APIError, match="no memory"):
                list(stream)
    assert len(engine.rendered) == 2


def test_a_client_that_leaves_a_stream_cancels(tmp_path: Path) -> None:
    engine = Held()
    with serve_fake(tmp_path, engine) as served:
        body = {"prompt": "a", "stream": True, "n": 3, "partial_images": 1}
        with served.http.stream("POST", "/v1/images/generations", json=body) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert engine.reached.wait(10)
        jobs = served.server.services.jobs
        for _ in range(500):
            if jobs.list_finished():
                break
            threading.Event().wait(0.01)
        assert [str(job.state) for job in jobs.list_finished()] == ["cancelled"]
        assert len(engine.rendered) == 1


def test_open_webui_asks_for_a_model_that_is_gone(served: Served) -> None:
    """Its requests as it sends them."""
    body = {
        "model": "dall-e-2",
        "prompt": "a cat",
        "n": 1,
        "size": "512x512",
        "response_format": "b64_json",
    }
    answer = served.http.post(
        "/v1/images/generations", json=body, headers={"Authorization": "Bearer sk-x"}
    )
    assert decode(answer.json()["data"][0]["b64_json"]).size == (512, 512)
    form = {"model": "gpt-image-1", "prompt": "a hat", "n": "1", "size": "auto"}
    answer = served.http.post(
        "/v1/images/edits", data=form, files=[("image[]", ("a.png", png(), "image/png"))]
    )
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.text)["data"][0]["b64_json"]
