# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""A meter that does odd things, for tests: SNMPv2c over UDP, no library.

    odd_meter.py PORT MODE

plain    nothing odd
literal  true last-active times in the names of packages
loop     after flow 5 the names begin again with flow 2 (6 is not seen)
broken   the packages of flows 3 and 4 are not BER
generr   asking for flow 4 is an error
toobig   more than two variables are too many
empty    a GETBULK for more than two rows brings none
nopack   no packages: columns only
few      no packages for attributes of the optional groups
refuse   no reader rows
wait     rows are made by createAndWait only
spoof    each answer comes first from another port, with other contents
"""
import socket
import sys
import time

F = (1, 3, 6, 1, 2, 1, 40)
BEGIN = time.time()
FLOWS = 8
port, mode = int(sys.argv[1]), sys.argv[2]
rows = {}


def uptime():
    return int((time.time() - BEGIN) * 100) + 1000


def tlv(tag, data):
    n = len(data)
    if n < 128:
        return bytes((tag, n)) + data
    return bytes((tag, 0x82, n >> 8, n & 255)) + data


def number(tag, value):
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid_encode(name):
    data = bytes((name[0] * 40 + name[1],))
    for part in name[2:]:
        octets = [part & 127]
        while part > 127:
            part >>= 7
            octets.insert(0, part & 127 | 128)
        data += bytes(octets)
    return tlv(6, data)


def take(data, at):
    tag, n = data[at], data[at + 1]
    at += 2
    if n & 128:
        k = n & 127
        n = int.from_bytes(data[at:at + k], "big")
        at += k
    return tag, data[at:at + n], at + n


def oid_decode(data):
    name, part = [data[0] // 40, data[0] % 40], 0
    for octet in data[1:]:
        part = part << 7 | octet & 127
        if not octet & 128:
            name.append(part)
            part = 0
    return tuple(name)


def attribute(a, i):
    """Flow i has had i packets of 100 octets and the same back."""
    if a in (27, 29):
        return number(0x46, 100 * i)
    if a in (28, 30):
        return number(0x46, i)
    if a == 31:
        return number(0x43, 100 + i)
    if a == 32:
        return number(0x43, 900 + i)
    if a in (8, 18):
        return number(2, 1)
    if a in (9, 19):
        return tlv(4, bytes((10, 0, a, i)))
    if a in (10, 20):
        return tlv(4, b"\xff" * 4)
    if a in (6, 7, 12, 13, 16, 17, 22, 23, 33, 34, 35):
        return tlv(4, b"")
    return number(2, 0)


def package(selector, i):
    if mode == "broken" and i in (3, 4):
        return tlv(4, b"\x30\x05junk")
    return tlv(4, tlv(0x30, b"".join(attribute(a, i) for a in selector)))


def control():
    yield F + (1, 1, 1, 2, 1), number(2, 1)
    yield F + (1, 1, 1, 5, 1), number(2, 1)
    yield F + (1, 1, 1, 6, 1), tlv(4, b"odd")
    for column in (2, 3, 4, 5, 6, 7):
        for row in sorted(rows):
            yield F + (1, 3, 1, column, row), rows[row][column]
    yield F + (1, 8, 0), number(2, 1000)
    yield F + (1, 9, 0), number(2, 2)


def next_of(name):
    """The next variable: packages and columns answer for any TimeFilter."""
    found = []
    for n, v in control():
        if n > name:
            found.append((n, v))
            break
    base = F + (2, 1, 1)
    if name[:10] == base and len(name) >= 14:
        column, rule_set, t, i = name[10:14]
        if rule_set == 1 and i < FLOWS and t <= uptime():
            return name[:13] + (i + 1,), attribute(column, i + 1)
    if name[:11] == F + (2, 3, 1, 5) and len(name) > 12:
        n = name[11]
        selector = name[12:12 + n]
        tail = name[12 + n:]
        odd = mode == "nopack" or (mode == "few" and 33 in selector)
        if len(tail) == 3 and tail[0] == 1 and not odd:
            t, i = tail[1], tail[2]
            head = name[:13 + n]
            if mode == "literal":
                for k in range(1, FLOWS + 1):
                    if (900 + k, k) > (t, i):
                        return head + (900 + k, k), package(selector, k)
            elif mode == "loop" and i == 5 and t == 0:
                return head + (t, 2), package(selector, 2)
            elif i < FLOWS and t <= 900 + FLOWS:
                return head + (t, i + 1), package(selector, i + 1)
    if found:
        return found[0]
    return name, b"\x82\x00"


def get(name):
    if name == (1, 3, 6, 1, 2, 1, 1, 3, 0):
        return number(0x43, uptime())
    for n, v in control():
        if n == name:
            return v
    base = F + (2, 1, 1)
    if name[:10] == base and len(name) == 14 and name[11] == 1:
        if 1 <= name[13] <= FLOWS and name[10] not in (33, 34, 35):
            return attribute(name[10], name[13])
        return b"\x80\x00"
    return b"\x81\x00"


def set_all(variables):
    """Error status of a SET on the table of readers."""
    if mode == "refuse":
        return 6
    for name, value in variables:
        if name[:10] != F + (1, 3, 1) or len(name) != 12:
            return 17
        column, row = name[10], name[11]
        if column == 6:
            status = value[2]
            if status == 4 and (row in rows or mode == "wait"):
                return 12
            if status == 5 and row in rows:
                return 12
            if status == 6:
                rows.pop(row, None)
                continue
            if status in (4, 5):
                rows[row] = {2: number(2, 0), 3: tlv(4, b""),
                             4: number(0x43, 0), 5: number(0x43, 0),
                             6: number(2, 1), 7: number(2, 1)}
    for name, value in variables:
        column, row = name[10], name[11]
        if row not in rows:
            if (6, 6) in [(n[10], v[2]) for n, v in variables]:
                continue
            return 18
        if column == 4:
            rows[row][5] = rows[row][4]
            rows[row][4] = number(0x43, uptime())
        elif column != 6:
            rows[row][column] = value
    return 0


def answer(data):
    _, message, _ = take(data, 0)
    _, _, at = take(message, 0)
    _, community, at = take(message, at)
    kind, pdu, _ = take(message, at)
    _, request, at = take(pdu, 0)
    _, a, at = take(pdu, at)
    _, b, at = take(pdu, at)
    _, items, _ = take(pdu, at)
    variables, at = [], 0
    while at < len(items):
        _, item, at = take(items, at)
        _, name, k = take(item, 0)
        variables.append((oid_decode(name), item[k:]))
    error, out = 0, []
    if kind == 0xA0:
        out = [(n, get(n)) for n, _ in variables]
    elif kind == 0xA1:
        out = [next_of(n) for n, _ in variables]
    elif kind == 0xA3:
        error = set_all(variables)
        out = variables
    else:
        many = int.from_bytes(b, "big")
        if mode == "empty" and many > 2 and len(variables) == 1:
            many = 0
        names = [n for n, _ in variables]
        for _ in range(many):
            group = [next_of(n) for n in names]
            out += group
            names = [n for n, _ in group]
    if mode == "toobig" and len(out) > 2 and kind == 0xA5 and \
            len(variables) == 1:
        error, out = 1, []
    if mode == "generr" and kind == 0xA5 and any(
            n[:11] == F + (2, 3, 1, 5) and n[-1] == 4 for n, _ in out):
        error, out = 5, variables
    body = b"".join(tlv(0x30, oid_encode(n) + v) for n, v in out)
    pdu = tlv(2, request) + number(2, error) + number(2, 0) + tlv(0x30, body)
    return tlv(0x30, number(2, 1) + tlv(4, community) + tlv(0xA2, pdu))


def main():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", port))
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("127.0.0.1", 0))
    print("listening", port, flush=True)
    while True:
        data, who = s.recvfrom(65536)
        reply = answer(data)
        if mode == "spoof":
            other.sendto(reply.replace(b"\x02\x01\x06", b"\x02\x01\x11"),
                         who)
        s.sendto(reply, who)


main()
