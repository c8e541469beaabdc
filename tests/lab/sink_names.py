"""A name server that knows every name: each A query gets one address outside the intranet, on UDP and TCP.

Run by `sink` in the switch's network namespace as `python3 sink_names.py ADDRESS`.
"""

from __future__ import annotations

import socketserver
import struct
import sys
import threading

ANSWER = bytes((203, 0, 113, 77))
"""An address kept for documentation (RFC 5737): nobody's."""
TYPE_A = 1
HEADER = 12


def reply_to(query: bytes) -> bytes:
    """Return the reply to one query: an address for type A, no records for anything else."""
    number, flags = struct.unpack_from(">HH", query)
    end = HEADER
    labels = []
    while query[end]:
        labels.append(query[end + 1 : end + 1 + query[end]].decode("ascii", "replace"))
        end += 1 + query[end]
    # The log tells who asked when a counter that ought to stay at 0 does not.
    print(".".join(labels), flush=True)
    question = query[HEADER : end + 5]
    is_address = struct.unpack_from(">H", query, end + 1)[0] == TYPE_A
    header = struct.pack(">HHHHHH", number, 0x8400 | (flags & 0x0100), 1, int(is_address), 0, 0)
    answer = struct.pack(">HHHIH", 0xC00C, TYPE_A, 1, 1, len(ANSWER)) + ANSWER
    return header + question + (answer if is_address else b"")


class OnDatagrams(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, own_socket = self.request
        own_socket.sendto(reply_to(query), self.client_address)


class OnStreams(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        size = struct.unpack(">H", self.rfile.read(2))[0]
        reply = reply_to(self.rfile.read(size))
        self.wfile.write(struct.pack(">H", len(reply)) + reply)


if __name__ == "__main__":
    own_address = (sys.argv[1], 53)
    socketserver.TCPServer.allow_reuse_address = True
    on_streams = socketserver.ThreadingTCPServer(own_address, OnStreams)
    threading.Thread(target=on_streams.serve_forever, daemon=True).start()
    socketserver.ThreadingUDPServer(own_address, OnDatagrams).serve_forever()
