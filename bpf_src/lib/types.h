/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The words every other header is written in: addresses, attributes, small helpers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define __maybe_unused __attribute__((unused))
#define __packed       __attribute__((packed))

/*
 * A function that the verifier looks at once by itself, and not again in every state in which it
 * is called. Pointers it is given may be NULL for all the verifier knows, and before Linux 6.4
 * every byte behind them must be set: such structs have their padding spelt out.
 */
#define __verified_alone __attribute__((noinline))

#define likely(x)	 __builtin_expect(!!(x), 1)
#define unlikely(x)	 __builtin_expect(!!(x), 0)

union v4addr {
	__be32 be32;
	__u8 addr[4];
};

union v6addr {
	struct {
		__u32 p1;
		__u32 p2;
		__u32 p3;
		__u32 p4;
	};
	struct {
		__u64 d1;
		__u64 d2;
	};
	__u8 addr[16];
} __packed __attribute__((aligned(4)));

union macaddr {
	__u8 addr[6];
	__u64 pad;
};

/* The family byte of a key that holds an address. */
enum {
	ENDPOINT_KEY_IPV4 = 1,
	ENDPOINT_KEY_IPV6 = 2,
};

_Static_assert(sizeof(union v4addr) == 4, "v4addr");
_Static_assert(sizeof(union v6addr) == 16, "v6addr");
_Static_assert(sizeof(union macaddr) == 8, "macaddr");
