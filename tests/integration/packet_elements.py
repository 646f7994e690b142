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
"""
import datetime
import json
import random
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
elif sys.argv[1] == 'fields':
    print('\n'.join(name for name, _, _ in ELEMENTS))
elif sys.argv[1] == 'tshark':
    print('\n'.join(fields()))
else:
    sys.exit(0 if compare(sys.argv[2], sys.argv[3]) else 1)
