# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""Many exporters at once, each with Templates of its own, and what is left of
their records behind a proxy.

    many.py send ADDRESS PORT EXPORTERS ROUNDS     over TCP
    many.py check FILE EXPORTERS ROUNDS    an IPFIX file
    many.py count FILE EXPORTERS    how many records of theirs are in it by now

All have the Observation Domain 1 and the Template id 256 to begin with. In each
fifth round each withdraws its Template and defines another under the next id,
with another length. A record has the exporter, its number within it and the
generation of its Template; between the rounds others have their turn.
"""
import socket
import struct
import sys

RECORDS = 7  # in a message
CHURN = 5  # rounds that a Template lives
SCOPE = [(10, 4), (148, 8), (14, 4)]  # exporter, number, generation


def padding(exporter, generation):
    """Octets of padding: 300 exporters have 50 different Templates."""
    return 1 + (exporter * 7 + generation * 13) % 50


def make_set(number, content):
    return struct.pack('!HH', number, len(content) + 4) + content


def message(exporter, round_):
    generation, turn = divmod(round_, CHURN)
    number = 256 + generation
    length = padding(exporter, generation)
    sets = b''
    if turn == 0:
        if generation:
            sets += make_set(2, struct.pack('!HH', number - 1, 0))
        fields = SCOPE + [(210, length)]
        sets += make_set(2, struct.pack('!HH', number, len(fields)) + b''.join(
            struct.pack('!HH', *f) for f in fields))
    first = round_ * RECORDS
    sets += make_set(number, b''.join(
        struct.pack('!IQI', exporter, first + i, generation) + bytes(length)
        for i in range(RECORDS)))
    return struct.pack('!HHIII', 10, len(sets) + 16, 1700000000 + round_,
                       first, 1) + sets


def send(address, port, exporters, rounds):
    # Each has an address of its own, if all of 127.0.0.0/8 is this machine.
    connections = [socket.create_connection(
        (address, port),
        source_address=('127.1.%d.%d' % (i // 250, i % 250 + 1), 0))
        for i in range(exporters)]
    for round_ in range(rounds):
        for exporter, connection in enumerate(connections):
            connection.sendall(message(exporter, round_))
    for connection in connections:
        connection.close()


def records(data):
    """(domain, Template, exporter, number, generation) of all records."""
    templates = {}
    at = 0
    while len(data) - at >= 16:
        _, length, _, _, domain = struct.unpack_from('!HHIII', data, at)
        if len(data) - at < length:
            return
        end, p = at + length, at + 16
        while p < end:
            number, octets = struct.unpack_from('!HH', data, p)
            if number == 2:
                read_templates(templates, domain, data[p + 4:p + octets])
            elif number >= 256:
                size = templates[(domain, number)]
                for r in range(p + 4, p + octets - size + 1, size or 1):
                    if size:
                        yield (domain, number) + struct.unpack_from(
                            '!IQI', data, r)
            p += octets
        at = end


def read_templates(templates, domain, content):
    p = 0
    while len(content) - p >= 4:
        number, count = struct.unpack_from('!HH', content, p)
        p += 4
        fields = [struct.unpack_from('!HH', content, p + 4 * i)
                  for i in range(count)]
        p += 4 * count
        # Others than ours are of no interest: 0.
        templates[(domain, number)] = \
            sum(f[1] for f in fields) if fields[:3] == SCOPE else 0


def check(path, exporters, rounds):
    following, domains = {}, {}
    with open(path, 'rb') as file:
        data = file.read()
    for domain, template, exporter, number, generation in records(data):
        assert following.get(exporter, 0) == number, (exporter, number)
        assert generation == number // (RECORDS * CHURN), (exporter, number)
        following[exporter] = number + 1
        assert domains.setdefault(domain, exporter) == exporter, domain
    assert len(following) == len(domains) == exporters, len(following)
    assert set(following.values()) == {rounds * RECORDS}


def count(path, exporters):
    with open(path, 'rb') as file:
        data = file.read()
    print(sum(r[2] < exporters for r in records(data)))


if sys.argv[1] == 'send':
    send(sys.argv[2], *map(int, sys.argv[3:]))
elif sys.argv[1] == 'check':
    check(sys.argv[2], *map(int, sys.argv[3:]))
else:
    count(sys.argv[2], int(sys.argv[3]))
