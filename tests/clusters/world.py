"""The world outside a cluster: a DNS server, an API that tells what it was sent and can be slow, the platform's public
keys, and whatever a test has put into the folder by the name of its path."""

import asyncio
import json
import ssl
import sys
from pathlib import Path

import dns.message
import dns.rrset

folder = Path(sys.argv[1])
NAMES = {
    "api.example.test": "203.0.113.10",
    "other.example.test": "203.0.113.10",
    "issuer.example.test": "203.0.113.10",
    "inside.example.test": "10.0.0.1",
    "metadata.example.test": "169.254.169.254",
}


class Dns(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        asked = dns.message.from_wire(data)
        answer, question = dns.message.make_response(asked), asked.question[0]
        address = NAMES.get(question.name.to_text(omit_final_dot=True))
        if address is None:
            answer.set_rcode(3)
        elif question.rdtype == 1:
            answer.answer.append(dns.rrset.from_text(question.name, 0, "IN", "A", address))
        self.transport.sendto(answer.to_wire(), peer)


async def serve(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    path = head.split(" ")[1]
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    if path.startswith("/authentication/"):
        body = (folder / "keys.json").read_bytes()
    elif (put := folder / (path.strip("/").replace("/", "-") + ".json")).exists():
        body = put.read_bytes()
    elif path == "/slow":
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\nconnection: close\r\n\r\n" + b"x" * 100000)
        await writer.drain()
        with (folder / "begun").open("a") as begun:
            begun.write("x")
        while not (folder / "go-on").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        body = None
        writer.write(b"y" * 100000)
    else:
        body = json.dumps({"path": path, "authorization": fields.get("authorization", "")}).encode()
    if body is not None:
        head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    writer.close()


async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Dns, local_addr=("203.0.113.53", 53))
    server = await asyncio.start_server(serve, None, 8080)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    await asyncio.start_server(serve, None, 443, ssl=tls)
    print("ready", flush=True)  # noqa: T201
    await server.serve_forever()


asyncio.run(main())
