"""Receive one datagram on host B of the sample and print its source address, or `nothing`."""

import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
    receiver.bind(("10.0.0.2", 7))
    receiver.settimeout(2.5)
    print("listening", flush=True)
    try:
        print(receiver.recvfrom(9)[1][0])
    except TimeoutError:
        print("nothing")
