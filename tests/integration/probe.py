# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""
Helper of the probe tests.

    conf FILE OUT [KEY=VALUE...]    writes a configuration: a capture, a cache, a
                                    file; keys: capture (lines of XML in the
                                    observationPoint), selector, cache (type),
                                    head (lines in it), fields, sections
    flows JSON TRUTH                compares flows with the truth of mkpcap
    sum JSON                        prints packets and octets of all flows
"""
import collections
import json
import sys

KEYS = ("sourceIPv4Address destinationIPv4Address sourceIPv6Address "
        "destinationIPv6Address sourceTransportPort destinationTransportPort "
        "protocolIdentifier").split()
VALUES = ("octetDeltaCount packetDeltaCount flowStartNanoseconds "
          "flowEndNanoseconds tcpControlBits").split()


def field(name, key):
    pen = ""
    if name.startswith("reverse"):
        pen = "<ieEnterpriseNumber>29305</ieEnterpriseNumber>"
    return (f"<cacheField><name>{name}</name><ieName>{name}</ieName>{pen}"
            f"{'<isFlowKey/>' if key else ''}</cacheField>")


def conf(file, out, args):
    a = {"capture": "", "selector": "<selectAll/>", "cache": "timeoutCache",
         "head": "<activeTimeout>0</activeTimeout>"
                 "<idleTimeout>0</idleTimeout>",
         "keys": " ".join(KEYS), "fields": " ".join(VALUES), "options": "",
         "domain": "7", "root": "", "destination": "", "process": ""}
    for arg in args:
        name, value = arg.split("=", 1)
        a[name] = value
    fields = "".join(field(n, a["cache"] != "immediateCache")
                     for n in a["keys"].split())
    fields += "".join(field(n, False) for n in a["fields"].split())
    options = "".join(
        f"<options><name>{o}</name><optionsType>{o}</optionsType></options>"
        for o in a["options"].split())
    destination = a["destination"] or (
        f"<fileWriter><file>file://{out}</file></fileWriter>")
    with open(file, "w") as f:
        f.write(f"""<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
 xmlns:cx="urn:conflux:config:1">
<cx:controlSocket>{file}.sock</cx:controlSocket>{a["root"]}
{a["process"]}
<observationPoint><name>point</name>
<observationDomainId>{a["domain"]}</observationDomainId>
{a["capture"]}<selectionProcess>selection</selectionProcess>
</observationPoint>
<selectionProcess><name>selection</name><selector><name>first</name>
{a["selector"]}</selector><cache>flows</cache></selectionProcess>
<cache><name>flows</name><{a["cache"]}>{a["head"]}
<cacheLayout>{fields}</cacheLayout></{a["cache"]}>
<exportingProcess>out</exportingProcess></cache>
<exportingProcess><name>out</name><destination><name>file</name>
{destination}</destination>{options}</exportingProcess>
</ipfix>
""")


def records(file):
    with open(file) as f:
        for line in f:
            yield json.loads(line)


def nanoseconds(text):
    """2023-11-14T22:13:20.123456789Z, as conflux read prints it"""
    import calendar
    import time
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds * 10**9 + int((fraction + "000000000")[:9])


def flow_of(d):
    return (d.get("sourceIPv4Address") or d.get("sourceIPv6Address"),
            d.get("destinationIPv4Address") or d.get("destinationIPv6Address"),
            d.get("sourceTransportPort", 0),
            d.get("destinationTransportPort", 0),
            d["protocolIdentifier"])


def flows(file, truth):
    got, want = {}, {}
    for d in records(file):
        key = flow_of(d)
        if key in got:
            sys.exit(f"twice: {key}")
        got[key] = (d["packetDeltaCount"], d["octetDeltaCount"],
                    nanoseconds(d["flowStartNanoseconds"]),
                    nanoseconds(d["flowEndNanoseconds"]),
                    d.get("tcpControlBits", 0))
    with open(truth) as f:
        for line in f:
            v = line.strip().split(",")
            want[(v[0], v[1], int(v[2]), int(v[3]), int(v[4]))] = tuple(
                int(x) for x in v[5:])
    wrong = [(k, want.get(k), got.get(k)) for k in sorted(
        set(got) | set(want)) if want.get(k) != got.get(k)]
    for k, w, g in wrong[:5]:
        print(f"{k}: wanted {w}, got {g}")
    if wrong or not want:
        sys.exit(f"{len(wrong)} of {len(want)} flows differ")
    print(f"{len(want)} flows are equal")


def total(file):
    packets = octets = 0
    for d in records(file):
        packets += d.get("packetDeltaCount", 0)
        octets += d.get("octetDeltaCount", 0)
        packets += d.get("reversePacketDeltaCount", 0)
        octets += d.get("reverseOctetDeltaCount", 0)
    print(packets, octets)


if __name__ == "__main__":
    command, args = sys.argv[1], sys.argv[2:]
    if command == "conf":
        conf(args[0], args[1], args[2:])
    elif command == "flows":
        flows(args[0], args[1])
    else:
        total(args[0])
