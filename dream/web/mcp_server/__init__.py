"""The tools of dream for language models, over the Model Context Protocol.

Needs the extra `dream-prompt[mcp]`, and is imported only when a client asks for it. `tools` has
what they do, `register_tools` what clients see of them, `over_stdio` serves one client,
`web.mcp_door` those of the web server.
"""
