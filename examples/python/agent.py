"""A Sluice agent in Python's standard library: send packets, read the answers.

    python3 agent.py [HOST:PORT [COUNT]]
"""
import socket, struct, sys, time

def pack(v):  # the msgpack that a LogPacket needs
    if isinstance(v, dict):
        return b"\xde" + struct.pack(">H", len(v)) + b"".join(pack(k) + pack(x) for k, x in v.items())
    if isinstance(v, list):
        return b"\xdd" + struct.pack(">I", len(v)) + b"".join(map(pack, v))
    if isinstance(v, (int, float)):
        return b"\xcb" + struct.pack(">d", v)
    v = v.encode()
    return b"\xdb" + struct.pack(">I", len(v)) + v

def unpack(b, i=0):  # the msgpack that ACK, NACK and GOAWAY need: (value, next index)
    c = b[i]
    if c < 0x80:
        return c, i + 1
    if 0x90 <= c < 0xA0:
        out, i = [], i + 1
        for _ in range(c & 15):
            v, i = unpack(b, i)
            out.append(v)
        return out, i
    if 0xCC <= c <= 0xCF:
        n = 1 << (c - 0xCC)
        return int.from_bytes(b[i + 1:i + 1 + n], "big"), i + 1 + n
    n, i = (c & 31, i + 1) if c < 0xC0 else (b[i + 1], i + 2) if c == 0xD9 else (
        int.from_bytes(b[i + 1:i + 3], "big"), i + 3)
    return b[i:i + n].decode(errors="replace"), i + n

def frames(sock):
    stream = sock.makefile("rb")
    while len(head := stream.read(4)) == 4:
        yield stream.read(struct.unpack(">I", head)[0])

def run(address, packets, window=1000):  # well within the first credit: 4096 frames, 4 MiB
    host, _, port = address.rpartition(":")
    waiting, delivered, refused = list(packets), 0, 0
    while waiting:
        resend, pause, going = [], 0.1, False
        with socket.create_connection((host, int(port)), timeout=30) as sock:
            sock.settimeout(None)  # a slow receiver is no reason to send again
            answers, sent, settled, nacked = frames(sock), {}, 0, set()
            try:
                while (waiting and not going) or settled < len(sent):
                    while waiting and not going and len(sent) - settled < window:
                        sent[len(sent) + 1] = packet = waiting.pop(0)
                        body = pack(packet)
                        sock.sendall(struct.pack(">I", len(body)) + body)
                    answer = next(answers, None)
                    if answer is None:  # closed by the other end
                        break
                    op, *f = unpack(answer)[0]
                    if op == 3:  # ACK n: all up to n are settled; delivered are those no NACK named
                        delivered += sum(n not in nacked for n in range(settled + 1, f[0] + 1))
                        settled = max(settled, f[0])
                    elif op == 4:  # NACK n, code, retry_after_ms, text, count
                        for n in range(f[0], f[0] + (f[4] if len(f) > 4 else 1)):
                            nacked.add(n)
                            if f[1] in (1, 2, 6):  # busy, unavailable, draining: later
                                resend.append(sent[n])
                                pause = max(pause, f[2] / 1000)
                            else:
                                refused += 1
                                print("refused:", sent[n]["packet_id"], f[3])
                    elif op == 7:  # GOAWAY: send nothing new, wait for the last ACK
                        going = True
            except OSError:  # cut off: what has no answer is sent again, on a new connection
                pass
            resend += [p for n, p in sent.items() if n > settled and n not in nacked]
        waiting = resend + waiting
        if waiting:
            time.sleep(pause)
    print(f"{delivered} delivered, {refused} refused")
    return refused == 0

if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9000"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    sys.exit(not run(address, [{
        "packet_id": f"python-{time.time_ns()}-{i}", "agent_id": "python-agent",
        "messages": [{"timestamp": time.time(), "level": "INFO", "source": "python",
                      "message": f"hello number {i}", "metadata": {}}],
    } for i in range(count)]))
