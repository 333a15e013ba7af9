#!/usr/bin/env python3
"""Callers that mean no good, for benches/siege: `hostile.py WAY HOST:PORT --seconds S --conns N`.

Each comes from a loopback address of its own, so that what is limited per peer does not end it early. Prints one RESULT
line: how many were begun, what they were answered, and how long the longest one was held."""

import argparse, asyncio, gzip, hashlib, hmac, json, time
from collections import Counter

MIB = 1 << 20
HEAD = ("POST /hooks/bench HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n"
        "X-GitHub-Delivery: 00000000-0000-4000-8000-{number:012d}\r\nUser-Agent: GitHub-Hookshot/siege\r\n{more}\r\n")


def request(number, body, more="", secret=None):
    if secret:
        more += f"X-Hub-Signature-256: sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}\r\n"
    return HEAD.format(number=number, more=more + f"Content-Length: {len(body)}\r\n").encode() + body


async def slow_headers(caller):
    """A byte of the headers each second, for ever."""
    caller.write(b"POST /hooks/bench HTTP/1.1\r\nHost: bench\r\nX-Slow: ")
    while True:
        caller.write(b"a")
        await asyncio.sleep(1)


async def slow_bodies(caller):
    """All headers, and then a byte of the body each second."""
    caller.write(HEAD.format(number=caller.number, more="Content-Length: 100000\r\n").encode())
    while True:
        caller.write(b" ")
        await asyncio.sleep(1)


async def junk(caller):
    """Bodies of 25 MiB that nobody signed, in chunks, as fast as they are taken."""
    caller.write(HEAD.format(number=caller.number, more="Transfer-Encoding: chunked\r\n").encode())
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for _ in range(25 * MIB // 65536):
        caller.write(piece)
        await caller.drain()
    caller.write(b"0\r\n\r\n")
    await asyncio.sleep(30)


async def bombs(caller):
    """What would grow when it is unpacked or read: packed zeroes, and, rightly signed, deep nesting and a long number."""
    packed = request(caller.number, gzip.compress(bytes(8 * MIB)), "Content-Encoding: gzip\r\n")
    deep = request(caller.number, b'{"zen":' + b"[" * 100_000 + b"]" * 100_000 + b"}", secret=caller.secret)
    long = request(caller.number + 1, b'{"zen":' + b"9" * 1_000_000 + b"}", secret=caller.secret)
    caller.write([packed, deep, long][caller.number % 3])
    await asyncio.sleep(30)


async def forged(caller):
    """Deliveries of the usual size with a wrong proof, one after another."""
    body = b'{"forged":"' + b"x" * 8000 + b'"}'
    caller.write(request(caller.number, body, f"X-Hub-Signature-256: sha256={'0' * 64}\r\n"))
    await asyncio.sleep(30)


WAYS = {way.__name__: way for way in (slow_headers, slow_bodies, junk, bombs, forged)}


class Caller:
    def __init__(self, number, writer, secret):
        self.number, self.writer, self.secret = number, writer, secret

    def write(self, data):
        if self.writer.is_closing():
            raise ConnectionError
        self.writer.write(data)

    async def drain(self):
        await self.writer.drain()


async def attack(way, number, given, seen):
    """One connection, until it is answered or ended."""
    host, port = given.target.rsplit(":", 1)
    local = f"127.{1 + number % 100}.{1 + number // 100 % 100}.{1 + number // 10_000}"
    began = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection(host, int(port), local_addr=(local, 0))
    except OSError:
        seen["refused"] += 1
        return
    acts = asyncio.create_task(way(Caller(number, writer, given.secret)))
    try:
        line = await asyncio.wait_for(reader.readline(), 40)
        seen[line.split()[1].decode() if len(line.split()) > 1 else "closed"] += 1
    except asyncio.TimeoutError:
        seen["held"] += 1
    except OSError:
        seen["reset"] += 1
    finally:
        given.longest = max(given.longest, time.monotonic() - began)
        acts.cancel()
        writer.close()
        await asyncio.gather(acts, return_exceptions=True)


async def main(given):
    seen, until, number = Counter(), time.monotonic() + given.seconds, 0

    async def again():
        nonlocal number
        while time.monotonic() < until:
            number += 1
            await attack(WAYS[given.way], number, given, seen)

    await asyncio.gather(*(again() for _ in range(given.conns)))
    print("RESULT", json.dumps({"begun": number, "seen": dict(seen), "longest_s": round(given.longest, 2)}))


ask = argparse.ArgumentParser()
ask.add_argument("way", choices=WAYS)
ask.add_argument("target")
ask.add_argument("--seconds", type=float, default=15)
ask.add_argument("--conns", type=int, default=400)
ask.add_argument("--secret", default="")
ask.set_defaults(longest=0.0)
asyncio.run(main(ask.parse_args()))
