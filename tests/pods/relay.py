"""Lets pods reach the simulator, which listens on loopback alone."""

import socket
import threading


def forward(source: socket.socket, to: socket.socket, change=lambda data: data):
    try:
        while data := source.recv(65536):
            to.sendall(change(data))
    except OSError:
        pass
    for one in (source, to):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()


class Relay:
    """Listens at `address`, on the port that the simulator has on loopback. The address of a new channel names loopback too: it is
    changed on the way, into one as long."""

    def __init__(self, address: str, port: int):
        self.port = port
        self.names = (f"ws://127.0.0.1:{port}".encode(), f"ws://{address}:{port}".encode())
        if len(self.names[0]) != len(self.names[1]):
            raise ValueError(f"address is {address}; allowed: one as long as 127.0.0.1, since lengths are in the head of an answer")
        self.listener = socket.create_server((address, port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=forward, args=(client, server), daemon=True).start()
            threading.Thread(target=forward, args=(server, client, lambda data: data.replace(*self.names)), daemon=True).start()

    def close(self):
        self.listener.close()
