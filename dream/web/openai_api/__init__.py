"""OpenAI's API for images, as its clients use it: /v1/images and /v1/models.

`routes` are in `openai_door`, `read_images` reads what a client wants, `write_images` writes what
comes back, `image_stream` sends it as it is made.
https://platform.openai.com/docs/api-reference/images
"""
