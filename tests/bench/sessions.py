# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# sessions.py PORT COUNT FOLDER: opens that many sessions of TLS to a collector
# on the loopback, as b.test of the authority in FOLDER, says "open", and keeps
# them until it is stopped.
import socket
import ssl
import sys
import time

port, count, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=folder + '/ca.pem')
context.load_cert_chain(folder + '/b.test.pem', folder + '/b.test.key')
sessions = []
for _ in range(count):
    s = socket.create_connection(('127.0.0.1', port))
    sessions.append(context.wrap_socket(s, server_hostname='a.test'))
time.sleep(1)
print('open', flush=True)
time.sleep(600)
