#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Prints where libmemcached places keys (weighted ketama, MD5), for placements.tsv.

Run it where Debian's libmemcached11 is installed:

    python3 placements.py > placements.tsv

Each line is a server list, a key and the server that libmemcached chose, separated by tabs. No server is
connected to: the library computes the place from the list alone.
"""

import ctypes

LISTS = [
    ["10.0.0.1:11211"],
    ["10.0.0.1:11211", "10.0.0.2:11211"],
    ["10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11211"],
    ["127.0.0.1:21211", "127.0.0.1:21212", "127.0.0.1:21213"],
    ["cache-a:11211", "cache-b:11212", "cache-c:11211", "cache-d:9", "cache-e:11211"],
    ["10.1.0.%d:11211" % number for number in range(1, 8)],
    ["10.2.0.%d:11211" % number for number in range(1, 24)],
    ["10.3.0.%d:11211" % number for number in range(1, 42)],
]
KEYS = ["person:%d" % number for number in range(40)] + [
    "product:a/b",
    "a:",
    "payment:2024-01-01:7",
    "long:" + "x" * 200,
    "order:%25:z",
]

SUCCESS = 0
# MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, whose number the library is asked to confirm.
KETAMA_WEIGHTED = 16


def placements(library, servers):
    # The library's own names for its parameters; hosts that do not resolve are no matter, none is asked.
    options = " ".join("--SERVER=%s" % server for server in servers)
    cache = library.memcached(options.encode(), len(options))
    if not cache:
        raise SystemExit("libmemcached refused: " + options)
    if library.memcached_behavior_set(cache, KETAMA_WEIGHTED, 1) != SUCCESS:
        raise SystemExit("libmemcached has no weighted ketama")
    for key in KEYS:
        place = library.memcached_generate_hash(cache, key.encode(), len(key))
        instance = library.memcached_server_instance_by_position(cache, place)
        host = library.memcached_server_name(instance).decode()
        yield key, "%s:%d" % (host, library.memcached_server_port(instance))
    library.memcached_free(cache)


def main():
    library = ctypes.CDLL("libmemcached.so.11")
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    library.memcached.restype = pointer
    library.memcached.argtypes = [text, size]
    library.memcached_free.argtypes = [pointer]
    library.memcached_behavior_set.argtypes = [pointer, ctypes.c_int, ctypes.c_uint64]
    library.memcached_generate_hash.argtypes = [pointer, text, size]
    library.memcached_generate_hash.restype = ctypes.c_uint32
    library.memcached_server_instance_by_position.argtypes = [pointer, ctypes.c_uint32]
    library.memcached_server_instance_by_position.restype = pointer
    library.memcached_server_name.argtypes = [pointer]
    library.memcached_server_name.restype = text
    library.memcached_server_port.argtypes = [pointer]
    library.memcached_server_port.restype = ctypes.c_uint16
    library.libmemcached_string_behavior.argtypes = [ctypes.c_int]
    library.libmemcached_string_behavior.restype = text
    name = library.libmemcached_string_behavior(KETAMA_WEIGHTED)
    if name != b"MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED":
        raise SystemExit("this libmemcached numbers its options otherwise: %s" % name)
    for servers in LISTS:
        for key, server in placements(library, servers):
            print("%s\t%s\t%s" % (",".join(servers), key, server))


main()
