"""The peer of the benches: gidgethub on aiohttp. It verifies and parses, and keeps nothing. `gidgethub_on_aiohttp.py PORT SECRET`."""

import sys

from aiohttp import web
from gidgethub import ValidationFailure
from gidgethub.sansio import Event

PORT, SECRET = int(sys.argv[1]), sys.argv[2]


async def receive(request):
    try:
        Event.from_http(request.headers, await request.read(), secret=SECRET)
    except ValidationFailure:
        return web.Response(status=401)
    return web.Response(status=202)


app = web.Application(client_max_size=26 << 20)
app.router.add_post("/hooks/bench", receive)
web.run_app(app, host="127.0.0.1", port=PORT, print=None, access_log=None)
