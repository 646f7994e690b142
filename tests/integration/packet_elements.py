# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""
packet_elements.py make FILE, packet_elements.py wlan FILE
    writes a capture of packets of many kinds, or of frames of 802.11, always
    the same ones
packet_elements.py fields, packet_elements.py tshark
    prints the names of the elements that are compared, and tshark's
packet_elements.py compare TSHARK JSON
    compares what tshark and what conflux read say of each packet; packets
    are told apart by their times
packet_elements.py options FILE TRUTH
    writes a capture of packets with options of TCP and UDP and with chains of
    extension headers, of which tshark does not tell what IPFIX does, and what
    is in them
packet_elements.py option-fields, packet_elements.py chain-fields
    prints the names of the elements of these
packet_elements.py told TRUTH JSON, packet_elements.py flow TRUTH JSON
    compares with that: each packet is a record, or all are one Flow
"""
import datetime
import json
import random
import struct
import sys

# element, fields of tshark of which the first that is there counts, how its
# text, values with commas between them, is read
FIRST = lambda text: text.split(',')[0]
NUMBER = lambda text: int(FIRST(text), 0)
TEXT = FIRST
LIST = lambda text: text.split(',')
OCTETS = lambda text: bytes.fromhex(FIRST(text)).decode()
ELEMENTS = [
    ('layer2OctetDeltaCount', 'frame.len', NUMBER),
    ('sourceMacAddress', 'eth.src wlan.sa', TEXT),
    ('destinationMacAddress', 'eth.dst wlan.da', TEXT),
    ('wlanChannelId', 'wlan_radio.channel', NUMBER),
    ('wlanSSID', 'wlan.ssid', OCTETS),
    ('dot1qVlanId', 'ieee8021ad.id vlan.id', NUMBER),
    ('dot1qPriority', 'ieee8021ad.priority vlan.priority', NUMBER),
    ('mplsTopLabelTTL', 'mpls.ttl', NUMBER),
    ('mplsTopLabelExp', 'mpls.exp', NUMBER),
    ('sourceIPv4Address', 'ip.src', TEXT),
    ('destinationIPv4Address', 'ip.dst', TEXT),
    ('totalLengthIPv4', 'ip.len', NUMBER),
    ('fragmentOffset', 'ip.frag_offset', NUMBER),
    ('ipv4IHL', 'ip.hdr_len', lambda text: int(FIRST(text)) // 4),
    ('sourceIPv6Address', 'ipv6.src', TEXT),
    ('destinationIPv6Address', 'ipv6.dst', TEXT),
    ('flowLabelIPv6', 'ipv6.flow', NUMBER),
    ('payloadLengthIPv6', 'ipv6.plen', NUMBER),
    ('nextHeaderIPv6', 'ipv6.nxt', NUMBER),
    ('srhSegmentIPv6BasicList', 'ipv6.routing.srh.addr', LIST),
    ('tcpSourcePort', 'tcp.srcport', NUMBER),
    ('tcpDestinationPort', 'tcp.dstport', NUMBER),
    ('tcpSequenceNumber', 'tcp.seq_raw', NUMBER),
    ('tcpAcknowledgementNumber', 'tcp.ack_raw', NUMBER),
    ('tcpControlBits', 'tcp.flags', NUMBER),
    ('tcpWindowSize', 'tcp.window_size_value', NUMBER),
    ('tcpUrgentPointer', 'tcp.urgent_pointer', NUMBER),
    ('tcpHeaderLength', 'tcp.hdr_len', NUMBER),
    ('tcpWindowScale', 'tcp.options.wscale.shift', NUMBER),
    ('udpSourcePort', 'udp.srcport', NUMBER),
    ('udpDestinationPort', 'udp.dstport', NUMBER),
    ('udpMessageLength', 'udp.length', NUMBER),
    ('icmpTypeIPv4', 'icmp.type', NUMBER),
    ('icmpCodeIPv4', 'icmp.code', NUMBER),
    ('icmpTypeIPv6', 'icmpv6.type', NUMBER),
    ('icmpCodeIPv6', 'icmpv6.code', NUMBER),
    ('IPSecSPI', 'esp.spi', NUMBER),
]


def make(path):
    from scapy.all import (Dot1Q, Ether, ICMP, ICMPv6EchoRequest, IP,
                           IPOption_Router_Alert, IPv6, IPv6ExtHdrDestOpt,
                           IPv6ExtHdrHopByHop, IPv6ExtHdrSegmentRouting, Raw,
                           TCP, UDP, wrpcap)
    from scapy.contrib.mpls import MPLS
    r = random.Random(1)
    packets = []
    for n in range(1500):
        v6 = r.random() < 0.4
        kind = r.choice(['tcp', 'tcp', 'udp', 'icmp', 'esp', 'fragment'])
        p = Ether(src='02:00:00:00:00:%02x' % r.randrange(256),
                  dst='02:00:00:00:01:%02x' % r.randrange(256))
        under = r.choice(['plain', 'plain', 'vlan', 'qinq', 'mpls'])
        if under == 'vlan':
            p /= Dot1Q(vlan=r.randrange(4096), prio=r.randrange(8))
        elif under == 'qinq':
            p.type = 0x88a8
            p /= Dot1Q(vlan=r.randrange(4096), prio=r.randrange(8))
            p /= Dot1Q(vlan=r.randrange(4096))
        elif under == 'mpls':
            p.type = 0x8847
            depth = r.randrange(1, 4)
            for i in range(depth):
                p /= MPLS(label=r.randrange(16, 1 << 20), cos=r.randrange(8),
                          s=i == depth - 1, ttl=r.randrange(1, 256))
        if v6:
            p /= IPv6(src='2001:db8::%x' % r.randrange(1, 65536),
                      dst='2001:db8:1::%x' % r.randrange(1, 65536),
                      fl=r.randrange(1 << 20), tc=r.randrange(256),
                      nh={'icmp': 58, 'esp': 50}.get(kind, 17))
            if r.random() < 0.3:
                p.nh = 0
                p /= IPv6ExtHdrHopByHop()
            if r.random() < 0.3:
                p /= IPv6ExtHdrDestOpt()
            if r.random() < 0.2:
                route = ['2001:db8:2::%x' % r.randrange(1, 65536)
                        for _ in range(r.randrange(1, 6))]
                p /= IPv6ExtHdrSegmentRouting(addresses=route,
                                              segleft=len(route) - 1)
        else:
            p /= IP(src='192.0.2.%d' % r.randrange(256),
                    dst='198.51.100.%d' % r.randrange(256),
                    id=r.randrange(65536), tos=r.randrange(256),
                    ttl=r.randrange(1, 256), flags=r.choice(['', 'DF']),
                    options=[IPOption_Router_Alert()]
                    if r.random() < 0.2 else [])
            if kind == 'fragment':
                p[IP].flags = r.choice(['', 'MF'])
                p[IP].frag = r.randrange(1, 180)
                p[IP].proto = 17
        data = bytes(r.randrange(256) for _ in range(r.randrange(0, 60)))
        if kind == 'tcp':
            p /= TCP(sport=r.randrange(20000, 65536),
                     dport=r.randrange(20000, 65536),
                     seq=r.randrange(1 << 32), ack=r.randrange(1 << 32),
                     window=r.randrange(65536), flags=r.randrange(512),
                     urgptr=r.randrange(65536),
                     options=r.choice([[], [('WScale', r.randrange(15))],
                                       [('NOP', None), ('MSS', 1460)]]))
            p /= Raw(data)
        elif kind == 'icmp':
            p /= ICMPv6EchoRequest() if v6 else ICMP(type=r.choice([0, 8]))
            p /= Raw(data)
        elif kind == 'esp':
            if not v6:
                p[IP].proto = 50
            p /= Raw(bytes([r.randrange(1, 256) for _ in range(4)]) + bytes(20))
        elif kind == 'fragment' and not v6:
            p /= Raw(data + b'1')
        else:
            p /= UDP(sport=r.randrange(20000, 65536),
                     dport=r.randrange(20000, 65536)) / Raw(data)
        if kind == 'esp' and v6:
            last = p
            while not isinstance(last.payload, Raw):
                last = last.payload
            last.nh = 50
        packets.append(p)
        p.time = 1700000000 + n
    wrpcap(path, packets)


def make_wlan(path):
    from scapy.all import (Dot11, Dot11Beacon, Dot11Elt, Dot11ProbeReq,
                           Dot11ProbeResp, IP, LLC, RadioTap, Raw, SNAP, UDP,
                           wrpcap)
    r = random.Random(2)
    middles = ([2412 + 5 * n for n in range(13)] + [2484] +
               [5180 + 20 * n for n in range(8)] + [5745, 5885, 4920] +
               [5955 + 20 * n for n in range(12)] + [7115])
    address = lambda: '02:00:00:00:02:%02x' % r.randrange(256)
    packets = []
    for n in range(300):
        # TSFT and rate in front of the channel, or not
        present = ['Channel'] + r.sample(['TSFT', 'Rate', 'Flags'],
                                         r.randrange(4))
        p = RadioTap(present='+'.join(present),
                     ChannelFrequency=r.choice(middles), ChannelFlags=0)
        dot11 = {'addr1': address(), 'addr2': address(), 'addr3': address()}
        name = Dot11Elt(ID=0, info=''.join(
            r.choice('abc 123') for _ in range(r.randrange(1, 33))))
        kind = r.choice([Dot11Beacon, Dot11ProbeResp, Dot11ProbeReq, None])
        if kind:
            subtype = {Dot11Beacon: 8, Dot11ProbeResp: 5, Dot11ProbeReq: 4}
            p /= Dot11(type=0, subtype=subtype[kind], **dot11) / kind()
            if r.random() < 0.5:
                p /= Dot11Elt(ID=1, info=b'\x82\x84')
            p /= name
        else:
            p /= Dot11(type=2, FCfield=r.choice([0, 1, 2]), **dot11)
            p /= LLC() / SNAP()
            p /= IP(src='192.0.2.1', dst='198.51.100.1')
            p /= UDP(sport=20000, dport=20001) / Raw(b'x')
        packets.append(p)
        p.time = 1700010000 + n
    wrpcap(path, packets)


TCP_IDS = [b'\x03\x48', b'\xf9\x89', b'\xac\xc0', b'\xe2\xd4\xc3\xd9']
OPTIONS = ['tcpOptionsFull', 'tcpSharedOptionExID16List',
           'tcpSharedOptionExID32List', 'udpSafeOptions', 'udpUnsafeOptions',
           'udpSafeExIDList', 'udpUnsafeExIDList']
CHAINS = ['ipv6ExtensionHeaderTypeCountList',
          'ipv6ExtensionHeaderChainLengthList']
BITS = {0: 1, 43: 5, 60: 0, 135: 12, 139: 16, 140: 17, 51: 14}


def surplus(odd, options, right):
    """The options with their checksum, behind a datagram of that parity."""
    octets = bytes(2) + options
    total = len(octets) + odd
    octets += bytes(len(octets) % 2)
    words = sum(struct.unpack('!%dH' % (len(octets) // 2), octets)) + total
    while words > 0xffff:
        words = (words & 0xffff) + (words >> 16)
    check = ~words & 0xffff or 0xffff
    if not right:
        check ^= 0x0100
    return bytes(odd) + struct.pack('!H', check) + options


def udp_packet(r, truth):
    """Some options, of which the experiments' numbers are noted."""
    safe, unsafe, text = set(), set(), b''
    truth.update(udpSafeOptions=0, udpUnsafeOptions=0)
    if r.random() < 0.2:
        return text
    for _ in range(r.randrange(1, 8)):
        kind = r.choice([1, 2, 4, 5, 6, 8, 100, 127, 127, 191, 192, 254, 254])
        content = b'' if kind == 1 else bytes(
            r.randrange(256) for _ in range(r.randrange(0, 20)))
        if kind in (127, 254):
            number = r.randrange(1, 6) * 257
            content = struct.pack('!H', number) + content
            (safe if kind == 127 else unsafe).add(number)
        elif kind < 192:
            truth['udpSafeOptions'] |= 1 << kind
        else:
            truth['udpUnsafeOptions'] |= 1 << (kind - 192)
        if kind == 1:
            text += b'\x01'
        elif r.random() < 0.2:
            text += struct.pack('!BBH', kind, 255, len(content) + 4) + content
        else:
            text += bytes([kind, len(content) + 2]) + content
    truth.update(udpSafeExIDList=safe, udpUnsafeExIDList=unsafe)
    return text


def tcp_options(r, truth):
    short, long, options = set(), set(), []
    truth['tcpOptionsFull'] = 0
    for _ in range(r.randrange(4)):
        kind = r.choice([2, 3, 30, 253, 254, 254])
        content = bytes(r.randrange(1, 3))
        if kind >= 253:
            content = r.choice(TCP_IDS) + content
            number = int.from_bytes(content[:2], 'big')
            if number == 0xe2d4:
                long.add(0xe2d4c3d9)
            else:
                short.add(number)
        else:
            truth['tcpOptionsFull'] |= 1 << kind
        options.append((kind, content))
    truth.update(tcpSharedOptionExID16List=short,
                 tcpSharedOptionExID32List=long)
    length = sum(len(content) + 2 for _, content in options)
    if length % 4:  # filled up with the end of the list
        truth['tcpOptionsFull'] |= 1
    text = b''.join(bytes([kind, len(content) + 2]) + content
                    for kind, content in options)
    return text + bytes(-len(text) % 4)


def chain(r, last, truth):
    """Extension headers, and the type of the first one."""
    types = [r.choice(list(BITS)) for _ in range(r.choice([0, 1, 2, 5, 9]))]
    text, runs = b'', []
    for at, kind in enumerate(types):
        then = types[at + 1] if at + 1 < len(types) else last
        more = r.randrange(3)  # of the units in which lengths are told
        if kind == 51:
            text += bytes([then, 1 + 2 * more]) + bytes(10 + 8 * more)
        else:
            text += bytes([then, more]) + bytes(6 + 8 * more)
        if runs and runs[-1][0] == kind:
            runs[-1][1] += 1
        else:
            runs.append([kind, 1])
    if types:
        truth['ipv6ExtensionHeaderTypeCountList'] = [
            'ordered', [{'ipv6ExtensionHeaderType': kind,
                         'ipv6ExtensionHeaderCount': count}
                        for kind, count in runs]]
        truth['ipv6ExtensionHeaderChainLengthList'] = [
            'allOf', [{'ipv6ExtensionHeadersFull': '%064x' % sum(
                {1 << BITS[kind] for kind in types}),
                'ipv6ExtensionHeadersChainLength': len(text)}]]
    return (types + [last])[0], text


def make_options(path, truth_path):
    from scapy.all import Ether, IP, IPv6, Raw, wrpcap
    r = random.Random(3)
    packets, truths = [], []
    for n in range(600):
        truth = {}
        v6 = r.random() < 0.5
        if r.random() < 0.5:
            options = tcp_options(r, truth)
            data = struct.pack('!HHIIBBHHH', 1, 2, 3, 4,
                               (5 + len(options) // 4) << 4, 16, 5, 0, 0)
            data += options + b'data'
            protocol = 6
        else:
            text = bytes(r.randrange(30))
            options = udp_packet(r, truth)
            right = r.random() < 0.9
            if not right:  # then there are none
                truth.update(udpSafeOptions=0, udpUnsafeOptions=0,
                             udpSafeExIDList=set(), udpUnsafeExIDList=set())
            data = struct.pack('!HHHH', 1, 2, 8 + len(text), 0) + text
            if options:
                data += surplus(len(text) % 2, options, right)
            protocol = 17
        p = Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')
        if v6:
            first, headers = chain(r, protocol, truth)
            p /= IPv6(src='2001:db8::1', dst='2001:db8::2', nh=first)
            p /= Raw(headers + data)
        else:
            p /= IP(src='192.0.2.1', dst='192.0.2.2', proto=protocol)
            p /= Raw(data)
        p.time = 1700020000 + n
        packets.append(p)
        truths.append({name: sorted(value) if isinstance(value, set) else value
                       for name, value in truth.items()
                       if not isinstance(value, set) or value})
    wrpcap(path, packets)
    json.dump(truths, open(truth_path, 'w'))


def value_of(record, name):
    """Lists as sets, and sets of bits as numbers."""
    value = record.get(name)
    if name in CHAINS:
        return value and [value['semantic'], value['records']]
    if isinstance(value, dict):
        assert value['semantic'] == 'allOf', value
        assert len(set(value['values'])) == len(value['values']), value
        return sorted(value['values'])
    return int(value, 16) if isinstance(value, str) else value


def told(truth_path, records):
    """Each packet is a record."""
    truths = json.load(open(truth_path))
    ours = [json.loads(line) for line in open(records)]
    ours = [record for record in ours if 'packetTotalCount' in record]
    assert len(ours) == len(truths), (len(ours), len(truths))
    bad = 0
    for record in ours:
        n = seconds(record['observationTimeSeconds']) - 1700020000
        for name in OPTIONS + CHAINS:
            if value_of(record, name) != truths[n].get(name):
                bad += 1
                print('packet %d: %s: %r, made %r' % (
                    n, name, value_of(record, name), truths[n].get(name)))
    return bad == 0


def flow(truth_path, records):
    """All packets are one Flow."""
    whole = {}
    for truth in json.load(open(truth_path)):
        for name, value in truth.items():
            if name in CHAINS:  # there is one for each
                continue
            if isinstance(value, list):
                whole[name] = sorted(set(whole.get(name, [])) | set(value))
            else:
                whole[name] = whole.get(name, 0) | value
    ours = [json.loads(line) for line in open(records)]
    ours = [record for record in ours if 'packetTotalCount' in record]
    assert len(ours) == 1, ours
    got = {name: value_of(ours[0], name) for name in OPTIONS}
    if got != whole:
        print('got %r, made %r' % (got, whole))
    return got == whole


def fields():
    return [f for _, field, _ in ELEMENTS for f in field.split()]


def seconds(text):
    """of a time as conflux writes it"""
    when = datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))
    return int(when.timestamp())


def compare(tshark, records):
    theirs = {}
    for line in open(tshark):
        values = line.rstrip('\n').split('\t')
        theirs[int(float(values[0]))] = dict(zip(fields(), values[1:]))
    ours = {}
    for line in open(records):
        record = json.loads(line)
        if 'packetTotalCount' in record:
            ours[seconds(record['observationTimeSeconds'])] = record
    bad = compared = 0
    assert len(ours) == len(theirs), (len(ours), len(theirs))
    for time, values in theirs.items():
        for name, field, read in ELEMENTS:
            text = next((values[f] for f in field.split() if values[f]), '')
            wanted = read(text) if text else None
            got = ours[time].get(name)
            if isinstance(got, dict):
                got = got['values']
            if name == 'fragmentOffset' and not text:
                continue  # of IPv6 it is 0 for us
            compared += wanted is not None
            if wanted != got:
                bad += 1
                print('packet %d: %s: tshark %r, conflux %r'
                      % (time, name, wanted, got))
    print('%d values compared' % compared)
    return bad == 0 and compared > 10000


if sys.argv[1] == 'make':
    make(sys.argv[2])
elif sys.argv[1] == 'wlan':
    make_wlan(sys.argv[2])
elif sys.argv[1] == 'options':
    make_options(sys.argv[2], sys.argv[3])
elif sys.argv[1] in ('told', 'flow'):
    sys.exit(0 if globals()[sys.argv[1]](sys.argv[2], sys.argv[3]) else 1)
elif sys.argv[1] == 'option-fields':
    print('\n'.join(OPTIONS))
elif sys.argv[1] == 'chain-fields':
    print('\n'.join(CHAINS))
elif sys.argv[1] == 'fields':
    print('\n'.join(name for name, _, _ in ELEMENTS))
elif sys.argv[1] == 'tshark':
    print('\n'.join(fields()))
else:
    sys.exit(0 if compare(sys.argv[2], sys.argv[3]) else 1)
