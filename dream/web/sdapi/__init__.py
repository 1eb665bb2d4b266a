"""AUTOMATIC1111's API, as its clients use it: /sdapi/v1.

`routes` has the paths, `read_wanted` reads what a client wants, `calls` makes it and says how far
it is, `answers` writes what comes back, `lists` what there is to choose from.
https://github.com/AUTOMATIC1111/stable-diffusion-webui, modules/api/api.py, version 1.10
"""
