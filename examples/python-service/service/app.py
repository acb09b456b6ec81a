"""Greets whoever asks, in JSON."""

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Greeting(msgspec.Struct):
    """What the service answers."""

    text: str
    length: int


async def greet(request: Request) -> Response:
    """`/hello/NAME`."""
    text = f"hello, {request.path_params['name']}"
    return Response(msgspec.json.encode(Greeting(text, len(text))), media_type="application/json")


app = Starlette(routes=[Route("/hello/{name}", greet)])
