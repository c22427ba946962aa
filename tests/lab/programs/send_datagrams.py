"""Send ten datagrams to host B of the sample, one each 0.1 s: the first ones may wait for ARP."""

import socket
import time

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for _ in range(10):
        sender.sendto(b"word", ("10.0.0.2", 7))
        time.sleep(0.1)
