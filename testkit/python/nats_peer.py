"""Reads a stream with nats-py: `nats_peer.py ADDRESS STREAM`, a line of JSON a message."""

import asyncio
import base64
import json
import sys

import nats


async def main(address, stream):
    client = await nats.connect(f"nats://{address}")
    jetstream = client.jetstream()
    state = (await jetstream.stream_info(stream)).state
    for number in range(state.first_seq, state.last_seq + 1):
        message = await jetstream.get_msg(stream, number)
        print(json.dumps({
            "subject": message.subject,
            "id": (message.headers or {}).get("Nats-Msg-Id", ""),
            "body": base64.b64encode(message.data or b"").decode()}))
    await client.close()


asyncio.run(main(sys.argv[1], sys.argv[2]))
