#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes cases.h: make_cases.py > cases.h && clang-format -i cases.h

ChaCha20-Poly1305 in Python integers, straight from RFC 8439 and independent of every library that
the tests use, and the kinds of cases that Project Wycheproof has for this AEAD: all lengths around
block borders, special tags, accumulators at the borders of limbs, changed tags and inputs.
"""
import random
import struct

P = (1 << 130) - 5
M32 = 0xFFFFFFFF


def rotate(v, n):
    return (v << n | v >> (32 - n)) & M32


def quarter(s, a, b, c, d):
    s[a] = (s[a] + s[b]) & M32
    s[d] = rotate(s[d] ^ s[a], 16)
    s[c] = (s[c] + s[d]) & M32
    s[b] = rotate(s[b] ^ s[c], 12)
    s[a] = (s[a] + s[b]) & M32
    s[d] = rotate(s[d] ^ s[a], 8)
    s[c] = (s[c] + s[d]) & M32
    s[b] = rotate(s[b] ^ s[c], 7)


def block(key, counter, nonce):
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    start += struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    s = list(start)
    for _ in range(10):
        quarter(s, 0, 4, 8, 12)
        quarter(s, 1, 5, 9, 13)
        quarter(s, 2, 6, 10, 14)
        quarter(s, 3, 7, 11, 15)
        quarter(s, 0, 5, 10, 15)
        quarter(s, 1, 6, 11, 12)
        quarter(s, 2, 7, 8, 13)
        quarter(s, 3, 4, 9, 14)
    return struct.pack("<16I", *((x + y) & M32 for x, y in zip(s, start)))


def crypt(key, nonce, data):
    out = bytearray()
    for i in range(0, len(data), 64):
        stream = block(key, 1 + i // 64, nonce)
        out += bytes(a ^ b for a, b in zip(data[i:i + 64], stream))
    return bytes(out)


def pad(data):
    return data + bytes(-len(data) % 16)


def mac_key(key, nonce):
    first = block(key, 0, nonce)
    r = int.from_bytes(first[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    return r, int.from_bytes(first[16:32], "little")


def accumulate(r, data, h=0):
    for i in range(0, len(data), 16):
        h = (h + int.from_bytes(data[i:i + 16], "little") + (1 << 128)) * r % P
    return h


def lengths(aad, data):
    return struct.pack("<QQ", len(aad), len(data))


def tag_of(key, nonce, aad, sealed):
    r, s = mac_key(key, nonce)
    h = accumulate(r, pad(aad) + pad(sealed) + lengths(aad, sealed))
    return ((h + s) & ((1 << 128) - 1)).to_bytes(16, "little")


def emit(comment, key, nonce, aad, plain, sealed, tag, valid=True):
    # The compiler joins adjacent strings.
    def text(data):
        rows = [data[i:i + 36].hex() for i in range(0, len(data), 36)] or [""]
        return "\n\t\t".join(f'"{row}"' for row in rows)

    print(f"\t{{\n\t\t\"{comment}\",")
    for field in (key, nonce, aad, plain, sealed + tag):
        print(f"\t\t{text(field)},")
    print(f"\t\t{'true' if valid else 'false'},\n\t}},")


def seal(comment, key, nonce, aad, plain):
    sealed = crypt(key, nonce, plain)
    emit(comment, key, nonce, aad, plain, sealed, tag_of(key, nonce, aad, sealed))


def steer(source, key, nonce, blocks, target):
    """Ciphertext of two or more blocks whose accumulator ends at the target."""
    r, _ = mac_key(key, nonce)
    inverse = pow(r, -1, P)
    while True:
        sealed = source.randbytes(16 * (blocks - 1))
        end = int.from_bytes(struct.pack("<QQ", 0, 16 * blocks), "little") + (1 << 128)
        before = ((target * inverse - end) * inverse) % P
        last = (before - accumulate(r, sealed) - (1 << 128)) % P
        if last < 1 << 128:
            return sealed + last.to_bytes(16, "little")


def wireguard(source):
    """A nonce of the burst interface's form."""
    return bytes(4) + source.randbytes(8)


def main():
    source = random.Random(8439)
    print("/* SPDX-License-Identifier: BSD-3-Clause */")
    print("/* Written by make_cases.py. */\n#pragma once\n\n#include <stdbool.h>\n")
    print("static const struct {\n\tconst char *comment, *key, *nonce, *aad, *plain, *sealed;")
    print("\tbool valid;\n} cases[] = {")
    for size in (0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 191, 255, 256, 257, 400):
        seal(f"{size} bytes", source.randbytes(32), wireguard(source), b"",
             source.randbytes(size))
    for size in (1, 8, 15, 16, 17, 31, 32, 64, 129):
        seal(f"{size} bytes of associated data", source.randbytes(32), source.randbytes(12),
             source.randbytes(size), source.randbytes(40))
    for fill in (0, 0xFF, 0x80):
        for size in (64, 130):
            seal(f"key, nonce and {size} bytes of {fill:02x}", bytes([fill]) * 32,
                 bytes([fill]) * 12, b"", bytes([fill]) * size)
    for nonce in (b"\0" * 12, b"\0" * 4 + b"\xff" * 8, b"\xff" * 4 + b"\0" * 8, b"\0" * 11 + b"\x80",
                  b"\0" * 7 + b"\x01" + b"\0" * 4):
        seal("special nonce", source.randbytes(32), nonce, b"", source.randbytes(70))
    targets = [("p - 1", P - 1), ("p - 5", P - 5), ("0", 0), ("1", 1), ("5", 5)]
    targets += [(f"2^{n} - 1", (1 << n) - 1) for n in (26, 44, 52, 64, 78, 88, 104, 128, 129)]
    targets += [(f"2^{n}", 1 << n) for n in (26, 44, 52, 64, 78, 88, 104, 128, 129)]
    for name, target in targets:
        key, nonce, blocks = source.randbytes(32), wireguard(source), source.choice((2, 4, 9))
        sealed = steer(source, key, nonce, blocks, target)
        emit(f"accumulator {name}", key, nonce, b"", crypt(key, nonce, sealed), sealed,
             tag_of(key, nonce, b"", sealed))
    for name, tag in (("zero", 0), ("all ones", (1 << 128) - 1), ("2^127", 1 << 127), ("1", 1)):
        key, nonce = source.randbytes(32), wireguard(source)
        target = (tag - mac_key(key, nonce)[1]) % (1 << 128)
        sealed = steer(source, key, nonce, 3, target)
        assert tag_of(key, nonce, b"", sealed) == tag.to_bytes(16, "little")
        emit(f"tag {name}", key, nonce, b"", crypt(key, nonce, sealed), sealed,
             tag.to_bytes(16, "little"))
    changes = [(f"bit {n} of the tag", lambda t, n=n: t ^ 1 << n)
               for n in (0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 71, 77, 80, 96, 97, 120, 126, 127)]
    changes += [("tag zero", lambda t: 0), ("tag all ones", lambda t: (1 << 128) - 1),
                ("tag inverted", lambda t: t ^ ((1 << 128) - 1)),
                ("tag plus one", lambda t: (t + 1) % (1 << 128)),
                ("first half of the tag", lambda t: t ^ ((1 << 64) - 1)),
                ("second half of the tag", lambda t: t ^ ((1 << 64) - 1) << 64),
                ("top bits of the words", lambda t: t ^ 0x80000000800000008000000080000000),
                ("halves of the tag swapped", lambda t: (t >> 64 | t << 64) % (1 << 128))]
    for name, change in changes:
        key, nonce, plain = source.randbytes(32), wireguard(source), source.randbytes(50)
        sealed = crypt(key, nonce, plain)
        tag = int.from_bytes(tag_of(key, nonce, b"", sealed), "little")
        emit(f"changed: {name}", key, nonce, b"", plain, sealed,
             change(tag).to_bytes(16, "little"), False)
    for name, at in (("first byte", 0), ("last byte", -1), ("byte in the middle", 33)):
        key, nonce, plain = source.randbytes(32), wireguard(source), source.randbytes(70)
        sealed = bytearray(crypt(key, nonce, plain))
        tag = tag_of(key, nonce, b"", bytes(sealed))
        sealed[at] ^= 0x10
        emit(f"changed: {name} of the ciphertext", key, nonce, b"", plain, bytes(sealed), tag, False)
    print("};")


main()
