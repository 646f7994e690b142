# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""Caches end to end: records made by hand go to confluxd over UDP and TCP, what
it writes to a file is read by "conflux read". Run by cache.sh with the programs
confluxd and conflux, a directory and free ports."""
import atexit
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time

CONFLUXD, CONFLUX, DIR = sys.argv[1:4]
PORTS = [int(p) for p in sys.argv[4:]]
MODEL = "urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
LONG = "<activeTimeout>900</activeTimeout><idleTimeout>900</idleTimeout>"


def template(number, *fields):
    body = struct.pack(">HH", number, len(fields))
    body += b"".join(struct.pack(">HH", *f) for f in fields)
    return struct.pack(">HH", 2, 4 + len(body)) + body


def data(number, *records):
    body = b"".join(records)
    return struct.pack(">HH", number, 4 + len(body)) + body


def message(domain, sequence, *sets):
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), int(time.time()),
                       sequence, domain) + body


def keys(*names):
    return "".join(f"<cacheField><name>{n}</name><ieName>{n}</ieName>"
                   "<isFlowKey/></cacheField>" for n in names)


def values(*names):
    return "".join(f"<cacheField><name>{n}</name><ieName>{n}</ieName>"
                   "</cacheField>" for n in names)


class Daemon:
    number = 0

    def __init__(self, workers, kind, settings, layout):
        Daemon.number += 1
        self.port = PORTS.pop()
        self.base = f"{DIR}/cache{Daemon.number}"
        self.out = self.base + ".ipfix"
        where = (f"<localPort>{self.port}</localPort>"
                 "<localIPAddress>127.0.0.1</localIPAddress>")
        with open(self.base + ".xml", "w") as f:
            f.write(f"""<ipfix xmlns="{MODEL}" xmlns:cx="urn:conflux:config:1">
<cx:workers>{workers}</cx:workers>
<cx:controlSocket>{self.base}.sock</cx:controlSocket>
<collectingProcess><name>in</name>
<udpCollector><name>udp</name>{where}</udpCollector>
<tcpCollector><name>tcp</name>{where}</tcpCollector>
<cx:cache>c</cx:cache></collectingProcess>
<cache><name>c</name><{kind}>{settings}<cacheLayout>{layout}</cacheLayout>
</{kind}><exportingProcess>out</exportingProcess></cache>
<exportingProcess><name>out</name><destination><name>file</name>
<fileWriter><file>file://{self.out}</file></fileWriter></destination>
</exportingProcess></ipfix>""")
        self.process = subprocess.Popen([CONFLUXD, "-c", self.base + ".xml"],
                                        stderr=open(self.base + ".err", "w"))
        atexit.register(self.process.kill)
        for _ in range(100):
            if os.path.exists(self.base + ".sock"):
                break
            time.sleep(0.1)

    def udp(self):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("127.0.0.1", self.port))
        return s

    def tcp(self):
        return socket.create_connection(("127.0.0.1", self.port))

    def records(self):
        text = subprocess.run([CONFLUX, "read", "-f", "json", self.out],
                              capture_output=True, text=True).stdout
        return [json.loads(line) for line in text.splitlines()]

    def wait(self, count, seconds):
        """Until there are so many records; how long it took."""
        start = time.time()
        while time.time() - start < seconds:
            if len(self.records()) >= count:
                break
            time.sleep(0.03)
        return time.time() - start

    def status(self):
        text = subprocess.run([CONFLUX, "status", "-s", self.base + ".sock",
                               "-j"], capture_output=True, text=True).stdout
        open(self.base + ".json", "w").write(text)
        return json.loads(text)

    def wait_in(self, count):
        for _ in range(100):
            if self.status()["cx:total"]["cx:ledger"]["in"] >= count:
                return
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        equal("exit status", 0, self.process.wait(20))
        return self.records()


def equal(what, wanted, got):
    if wanted != got:
        sys.exit(f"FAILED: {what}: wanted {wanted}, got {got}")


FLOW = template(256, (8, 4), (1, 8), (6, 1))


def flow(address, octets, flags=0):
    return struct.pack(">IQB", 0x0a000000 + address, octets, flags)


def idle(workers):
    """An idle flow leaves within a second of its time (idle for 1 s)."""
    d = Daemon(workers, "timeoutCache", "<activeTimeout>900</activeTimeout>"
               "<idleTimeout>1</idleTimeout>",
               keys("sourceIPv4Address") + values("octetDeltaCount"))
    s = d.udp()
    took = []
    for domain in range(1, 7):
        s.send(message(domain, 0, FLOW, data(256, flow(domain, 1))))
        took.append(d.wait(domain, 10))
    d.stop()
    took.sort()
    # The machine may be busy: so most of them, not each.
    if took[0] < 0.8 or took[3] > 2.2:
        sys.exit(f"FAILED: idle flows left after {took}")


def natural(workers):
    """TCP ends a flow, whichever worker gets it, flags in the flow or not."""
    d = Daemon(workers, "naturalCache", LONG, keys("sourceIPv4Address") +
               values("octetDeltaCount", "flowEndReason"))
    s = d.udp()
    for domain in range(1, 9):
        s.send(message(domain, 0, FLOW, data(256, flow(domain, 1),
                                             flow(domain, 2, 1))))
    d.wait(8, 10)
    got = d.stop()
    equal("flows that TCP ended", [(3, 3)] * 8,
          [(r["octetDeltaCount"], r["flowEndReason"]) for r in got])


def bound(workers):
    """maxFlows evicts, with long timeouts too, and tells so."""
    d = Daemon(workers, "timeoutCache", "<maxFlows>10</maxFlows>" + LONG,
               keys("sourceIPv4Address") +
               values("octetDeltaCount", "flowEndReason"))
    s = d.udp()
    s.send(message(1, 0, FLOW, *[data(256, flow(i, 1)) for i in range(50)]))
    d.wait_in(50)
    time.sleep(1)
    cache = d.status()["cache"][0]
    equal("flows in the cache", 10, cache["timeoutCache"]["activeFlows"])
    equal("evicted flows", 40, cache["cx:evictedFlows"])
    reasons = [r["flowEndReason"] for r in d.stop()]
    equal("lack of resources", 40, reasons.count(5))
    equal("forced", 10, reasons.count(4))


def intervals(workers, method):
    """RFC 7015: whatever the method, sums are exact."""
    d = Daemon(workers, "permanentCache", "<exportInterval>900</exportInterval>"
               f"<cx:intervalDistribution><cx:method>{method}</cx:method>"
               "<cx:intervalLength>10</cx:intervalLength>"
               "</cx:intervalDistribution>", keys("sourceIPv4Address") +
               values("octetDeltaCount", "packetDeltaCount", "deltaFlowCount"))
    rand = random.Random(1)
    start = int(time.time()) * 1000 - 400000
    octets = packets = 0
    for domain, s in ((1, d.tcp()), (2, d.udp())):
        for i in range(10):
            records = []
            for _ in range(20):
                o, p = rand.randrange(1 << 40), rand.randrange(9999)
                begin = start + rand.randrange(200000)
                records.append(struct.pack(
                    ">IQQQQ", rand.randrange(5), o, p, begin,
                    begin + rand.choice((0, 1, 5000, 33333, 100000))))
                octets += o
                packets += p
            s.send(message(domain, i * 20, template(
                256, (8, 4), (1, 8), (2, 8), (152, 8), (153, 8)),
                data(256, *records)))
    d.wait_in(400)
    got = d.stop()
    for name, wanted in (("octetDeltaCount", octets), ("deltaFlowCount", 400),
                         ("packetDeltaCount", packets)):
        equal(f"{method}: {name}", wanted, sum(r[name] for r in got))


for n in (1, 2):
    for test in (idle, natural, bound):
        print(f"== {test.__doc__} workers: {n}", flush=True)
        test(n)
    for m in ("startInterval", "endInterval", "midInterval", "simpleUniform",
              "proportionalUniform"):
        print(f"== intervals: {m}, workers: {n}", flush=True)
        intervals(n, m)
