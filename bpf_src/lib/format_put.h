/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Numbers and addresses as text, without a loop: eight digits are made at once
 * in one register, and written whole. What is written too much is overwritten
 * by what comes next. Each function takes where to write and returns where it
 * ended; the caller has made sure that there is room.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lib/format.h"

/* Keep a number in one register, the one whose bounds the verifier saw checked. */
#define IN_REGISTER(number) asm volatile("" : "+r"(number))

#define ASCII_ZEROS	    0x3030303030303030ULL
#define ASCII_SPACES	    0x2020202020202020ULL
#define TEN_TO_8	    100000000ULL

/* De Bruijn's sequence: the product's top six bits tell the powers of two apart. */
#define SEQUENCE 0x03f79d71b4cb0a89ULL
static const __u8 bit_of[64] = {
	0,  1,	48, 2,	57, 49, 28, 3,	61, 58, 50, 42, 38, 29, 17, 4,	62, 55, 59, 36, 53, 51,
	43, 22, 45, 39, 33, 30, 24, 18, 12, 5,	63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21,
	44, 32, 23, 11, 46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,	13, 8,	7,  6,
};

static __always_inline void put_8(__u64 out, __u64 bytes)
{
	*(__u64 *)(memory.text + out) = bytes;
}

/* Where the text ends now. Computed at once: a sum in parts may pass through what the verifier refuses. */
static __always_inline __u64 advance(__u64 out, __u64 size)
{
	out += size;
	IN_REGISTER(out);
	return out;
}

/* Bits of the zero bytes below the first byte that is not: 0, 8, 16 ... */
static __always_inline __u64 zero_bits(__u64 bytes)
{
	__u64 bit = bit_of[(bytes & -bytes) * SEQUENCE >> 58];

	IN_REGISTER(bit);
	return bit & 56;
}

/* The decimal digits of a number below 10^8, one a byte, the first in the lowest. */
static __always_inline __u64 digits_of(__u64 number)
{
	__u64 thousands = number * 109951163 >> 40;
	__u64 fours = thousands | (number - thousands * 10000) << 32;
	__u64 hundreds = fours * 10486 >> 20 & 0x7f0000007fULL;
	__u64 pairs = hundreds | (fours - hundreds * 100) << 16;
	__u64 tens = pairs * 103 >> 10 & 0x000f000f000f000fULL;

	return tens | (pairs - tens * 10) << 8;
}

/* Below 10^8, without leading zeros. */
static __always_inline __u64 put_short_number(__u64 out, __u64 number)
{
	__u64 digits = digits_of(number);
	__u64 zeros = zero_bits(digits | 1ULL << 56);

	put_8(out, (digits | ASCII_ZEROS) >> zeros);
	return advance(out, 8 - (zeros >> 3 & 7));
}

static __always_inline __u64 put_eight_digits(__u64 out, __u64 number)
{
	put_8(out, digits_of(number) | ASCII_ZEROS);
	return out + 8;
}

static __always_inline __u64 put_number(__u64 out, __u64 number)
{
	__u64 above, top;

	if (number < TEN_TO_8)
		return put_short_number(out, number);
	above = number / TEN_TO_8;
	if (above < TEN_TO_8) {
		out = put_short_number(out, above);
	} else {
		top = above / TEN_TO_8;
		out = put_short_number(out, top);
		out = put_eight_digits(out, above - top * TEN_TO_8);
	}
	return put_eight_digits(out, number % TEN_TO_8);
}

/* The last four hexadecimal digits of a number, one a byte, the first in the lowest. */
static __always_inline __u64 hex_digits_of(__u64 number)
{
	__u64 nibbles = (number >> 12 & 0xf) | (number >> 8 & 0xf) << 8 |
			(number >> 4 & 0xf) << 16 | (number & 0xf) << 24;

	/* From ten on there is a carry into the high half of the byte; 'a' is 39 beyond ':'. */
	return nibbles + 0x30303030 + ((nibbles + 0x06060606) >> 4 & 0x01010101) * 39;
}

/* Up to four digits, zeros in front. */
static __always_inline __u64 put_hex(__u64 out, __u64 number, __u32 width)
{
	width &= 3;
	if (!width)
		width = 4;
	put_8(out, hex_digits_of(number) >> (32 - width * 8));
	return advance(out, width);
}

static __always_inline __u64 put_octet(__u64 out, __u64 octet)
{
	__u64 known = memory.octets[octet & 0xff];

	*(__u32 *)(memory.text + out) = known;
	return out + (known >> 32 & 7);
}

/* Four octets, the first in the lowest byte. */
static __always_inline __u64 put_ip4(__u64 out, __u64 octets)
{
	__u64 known;

	out = put_octet(out, octets);
	out = put_octet(out, octets >> 8);
	out = put_octet(out, octets >> 16);
	known = memory.octets[octets >> 24 & 0xff];
	*(__u32 *)(memory.text + out) = known;
	return out + (known >> 40 & 3);
}

/* 1 for a group that is 0, which no branch is needed for. */
static __always_inline __u64 is_zero(__u64 group)
{
	__u64 borrowed = group - 1;

	IN_REGISTER(borrowed);
	return borrowed >> 63;
}

static __always_inline __u64 put_group(__u64 out, __u64 group, __u32 what, bool first)
{
	__u64 digits = hex_digits_of(group);
	/* '0' is the only digit whose low half is 0; the last digit is written in any case. */
	__u64 zeros = zero_bits((digits ^ 0x30303030) | 1 << 24);

	digits >>= zeros;
	put_8(out, first ? digits : digits << 8 | ':');
	if (first && what & 1)
		memory.text[out] = ':';
	return advance(out, (what & 1) + (what >> 1 & 1) * (4 + !first - (zeros >> 3 & 3)));
}

/*
 * As inet_ntop(3) writes it, `high` and `low` as they lie in memory. An IPv4-mapped
 * address has dots, and with `mapped_is_ip4` nothing before them.
 */
__noinline __u64 put_ip6(__u64 out, __u64 high, __u64 low, __u32 mapped_is_ip4)
{
	__u64 groups[8];
	__u32 zeros = 0, what;

	if (out > TEXT_ROOM - STEP_ROOM)
		return 0;
	if (!high && (low & 0xffffffff) == bpf_htonl(0xffff)) {
		if (!mapped_is_ip4) {
			put_8(out, 0x3a666666663a3aULL); /* ::ffff: */
			out += 7;
		}
		return put_ip4(out, low >> 32);
	}
#pragma unroll
	for (int at = 0; at < 8; at++) {
		groups[at] = bpf_ntohs((at < 4 ? high : low) >> (at & 3) * 16);
		zeros |= is_zero(groups[at]) << at;
	}
	what = memory.groups[zeros & 0xff];
#pragma unroll
	for (int at = 0; at < 8; at++)
		out = put_group(out, groups[at], what >> at * 2, at == 0);
	memory.text[out] = ':';
	return out + (what >> 16 & 1);
}

/* Six bytes, the first in the lowest. */
static __always_inline __u64 put_mac(__u64 out, __u64 octets)
{
#pragma unroll
	for (int at = 0; at < 6; at++)
		put_8(out + at * 3, (hex_digits_of(octets >> at * 8) >> 16 & 0xffff) | ':' << 16);
	return out + 17;
}
