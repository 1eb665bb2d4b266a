"""The web page and the HTTP APIs of a session. Nothing here is imported unless --web asks for it.

`services` is what every door calls, `doors` lists the doors, `web_server` serves them.
"""
