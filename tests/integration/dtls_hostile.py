# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""What a collector of DTLS may get from strangers.

dtls_hostile.py flood PORT FILE ADDRESSES COUNT   ClientHellos (FILE: one, behind an
                                            octet) from so many addresses
dtls_hostile.py stall PORT FILE COUNT [SECONDS]   handshakes that end with the cookie;
                                            the ports are kept for so long
dtls_hostile.py garbage PORT COUNT                what is no DTLS, or almost
dtls_hostile.py relay PORT COLLECTOR              passes datagrams on, each twice, and
                                            some with a bit turned before that
"""
import random
import select
import socket
import sys
import time


def client(address='127.0.0.1', port=0):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    return s


def flood(port, name, addresses, count):
    hello = open(name, 'rb').read()[1:]
    answers = octets = 0
    for i in range(int(addresses)):
        s = client('127.%d.%d.%d' % (1 + i // 62500, i // 250 % 250, 1 + i % 250))
        for _ in range(int(count)):
            s.sendto(hello, ('127.0.0.1', int(port)))
        if i % 50 == 0:
            s.settimeout(1)
            answer = s.recv(65535)
            answers += 1
            octets += len(answer)
            assert len(answer) < len(hello), 'it amplifies'
            time.sleep(0.01)
        s.close()
    print(answers, 'answers looked at')


def with_cookie(hello, cookie):
    """The ClientHello again, with what the server wants to see."""
    body = hello[25:]
    at = 34 + 1 + body[34]
    body = body[:at] + bytes([len(cookie)]) + cookie + body[at + 1:]
    length = len(body).to_bytes(3, 'big')
    message = b'\1' + length + b'\0\1' + b'\0\0\0' + length + body
    return (hello[:3] + bytes(7) + b'\1' +
            len(message).to_bytes(2, 'big') + message)


def stall(port, name, count, seconds=0.5):
    hello = open(name, 'rb').read()[1:]
    kept, began = [], 0
    for _ in range(int(count)):
        s = client()
        s.settimeout(2)
        s.sendto(hello, ('127.0.0.1', int(port)))
        verify = s.recv(65535)
        cookie = verify[28:28 + verify[27]]
        s.sendto(with_cookie(hello, cookie), ('127.0.0.1', int(port)))
        kept.append(s)
    time.sleep(float(seconds))
    for s in kept:
        s.setblocking(False)
        try:
            began += s.recv(65535)[13] == 2  # ServerHello
        except BlockingIOError:
            pass
    print(began)


def garbage(port, count):
    random.seed(1)
    s = client()
    for i in range(int(count)):
        length = random.choice((0, 1, 12, 13, 14, 60, 1400, 60000))
        head = bytes((random.choice((20, 21, 22, 23, 24, 99)), 254,
                      random.choice((253, 255)), 0, random.randrange(3)))
        s.sendto((head + random.randbytes(length))[:length],
                 ('127.0.0.1', int(port)))
        if i % 100 == 0:
            time.sleep(0.005)


def relay(port, collector):
    """Until it is killed."""
    random.seed(1)
    inner, outer, peer = client(port=int(port)), client(), None
    outer.connect(('127.0.0.1', int(collector)))
    while True:
        for s in select.select((inner, outer), (), ())[0]:
            if s is outer:
                data = outer.recv(65535)
                if peer:
                    inner.sendto(data, peer)
                continue
            data, peer = inner.recvfrom(65535)
            if random.randrange(4) == 0 and len(data) > 20:
                bad = bytearray(data)
                bad[random.randrange(13, len(bad))] ^= 1 << random.randrange(8)
                outer.send(bad)
                outer.send(data[:random.randrange(len(data))])
            outer.send(data)
            outer.send(data)


globals()[sys.argv[1]](*sys.argv[2:])
